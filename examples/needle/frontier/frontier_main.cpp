// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Which parts make the best method? Searches, and compares, configurations on the needle models:
//   windowkv_needle_frontier search  --models FILE,... --for localization|aggregation [options]
//   windowkv_needle_frontier compare --models FILE,... --list FILE [options]
//   windowkv_needle_frontier check   --models FILE,...
// README.md says what the results were.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../documents.hpp"
#include "../kv_cache.hpp"
#include "../methods.hpp"
#include "../trial.hpp"
#include "apply.hpp"
#include "configuration.hpp"
#include "evaluate.hpp"
#include "search.hpp"

namespace {

constexpr char const* usage =
    "windowkv_needle_frontier search|compare|check --models FILE,... [options]\n"
    "\n"
    "search   starts from what default_method() does and changes parts while that helps\n"
    "compare  evaluates the configurations of --list against its first one\n"
    "check    do the search's configurations of the default keep what default_method() keeps?\n"
    "\n"
    "  --for localization|aggregation   tasks needle, pair, hop and list, or city [localization]\n"
    "  --list FILE        one configuration per line: NAME : part=value ... (changes from the default's)\n"
    "  --start TEXT       part=value ... for the search to start from instead\n"
    "  --fixed PART,...   parts that the search leaves alone\n"
    "  --rounds N         of the search, at most [6]\n"
    "  --context N,...    tokens of a document [512,1024]\n"
    "  --budget F,...     fraction of the tokens kept per layer [0.05,0.08,0.12]\n"
    "  --documents N,...  per cell (task, digits, context); of a search, in each of its stages [5,15,50]\n"
    "  --seed N           of the documents [1]\n"
    "  --threads N        [one per hardware thread]\n"
    "  --csv FILE         writes all results\n";

std::vector<std::string> split(std::string const& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

struct request {
  std::string command;
  std::map<std::string, std::string> options{{"--for", "localization"},
                                             {"--models", ""},
                                             {"--list", ""},
                                             {"--start", ""},
                                             {"--fixed", ""},
                                             {"--rounds", "6"},
                                             {"--context", "512,1024"},
                                             {"--budget", "0.05,0.08,0.12"},
                                             {"--documents", "5,15,50"},
                                             {"--seed", "1"},
                                             {"--threads", "0"},
                                             {"--csv", ""}};

  std::string const& text(char const* name) const { return options.at(name); }
  int integer(char const* name) const { return std::atoi(text(name).c_str()); }
  template <class T>
  std::vector<T> numbers(char const* name) const {
    std::vector<T> all;
    for (std::string const& item : split(text(name), ',')) {
      all.push_back(static_cast<T>(std::atof(item.c_str())));
      if (!(all.back() > 0)) throw std::runtime_error(std::string(name) + ": numbers above 0 are expected");
    }
    return all;
  }
  bool is_localization() const { return text("--for") == "localization"; }
  needle::configuration start() const {
    needle::configuration const base =
        is_localization() ? needle::default_localization() : needle::default_aggregation();
    return needle::parse_configuration(base, text("--start"));
  }
};

request parse(int argc, char** argv) {
  request r;
  if (argc > 1) r.command = argv[1];
  if (r.command != "search" && r.command != "compare" && r.command != "check")
    throw std::runtime_error("search, compare or check?");
  for (int i = 2; i < argc; i += 2) {
    auto const option = r.options.find(argv[i]);
    if (option == r.options.end() || i + 1 == argc)
      throw std::runtime_error(std::string("unknown option, or no value: ") + argv[i]);
    option->second = argv[i + 1];
  }
  if (r.text("--models").empty()) throw std::runtime_error("--models is missing");
  if (r.text("--for") != "localization" && r.text("--for") != "aggregation")
    throw std::runtime_error("--for: localization or aggregation?");
  return r;
}

struct test_bench {
  explicit test_bench(request const& r) {
    for (std::string const& path : split(r.text("--models"), ',')) models.emplace_back(path);
    using needle::task_kind;
    std::vector<task_kind> const tasks =
        r.is_localization()
            ? std::vector<task_kind>{task_kind::needle, task_kind::pair, task_kind::hop, task_kind::list}
            : std::vector<task_kind>{task_kind::city};
    cells = needle::cells_of(models, tasks, r.numbers<int>("--context"), r.integer("--threads"));
    std::uint64_t seed = static_cast<std::uint64_t>(r.integer("--seed"));
    for (int documents : r.numbers<int>("--documents"))
      studies.push_back(std::make_unique<needle::study>(models, cells, r.numbers<double>("--budget"),
                                                        documents, 1000 * seed++, r.integer("--threads")));
  }

  std::vector<needle::named_model> models;
  std::vector<needle::document_cell> cells;
  std::vector<std::unique_ptr<needle::study>> studies;
};

bool has_same_rows(needle::kv_cache const& a, needle::kv_cache const& b) {
  for (int l = 0; l < a.layers(); ++l)
    for (int head = 0; head < a.heads(); ++head) {
      int const rows = a.length(l, head);
      std::ptrdiff_t const floats = std::ptrdiff_t{rows} * a.head_dim();
      if (rows != b.length(l, head) || !std::equal(a.key(l, head), a.key(l, head) + floats, b.key(l, head)) ||
          !std::equal(a.value(l, head), a.value(l, head) + floats, b.value(l, head)))
        return false;
    }
  return true;
}

void write_file(std::string const& path, std::string const& content) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

void run_search(request const& r, test_bench& bench) {
  std::vector<needle::study*> stages;
  for (auto const& study : bench.studies) stages.push_back(study.get());
  needle::search_result const result =
      needle::search(r.start(), split(r.text("--fixed"), ','), stages, r.integer("--rounds"));
  std::printf("\nstart: %s\nbest:  %s\n", needle::to_string(r.start()).c_str(),
              needle::to_string(result.best).c_str());
  std::ostringstream csv;
  csv << "round,stage,change,mean,worst,worst_cell,difference,standard_error,configuration\n";
  for (needle::search_step const& s : result.steps)
    csv << s.round << ',' << s.stage << ',' << s.what << ',' << s.stands.mean << ',' << s.stands.worst << ','
        << s.stands.worst_cell << ',' << s.against_start.difference << ',' << s.against_start.standard_error
        << ',' << needle::to_string(s.tried) << '\n';
  write_file(r.text("--csv"), csv.str());
}

void run_comparison(request const& r, test_bench& bench) {
  std::ifstream list(r.text("--list"));
  if (!list) throw std::runtime_error("cannot open " + r.text("--list"));
  std::vector<std::string> names;
  std::vector<needle::configuration> configurations;
  for (std::string line; std::getline(list, line);) {
    std::size_t const colon = line.find(" :");
    if (line.empty() || line[0] == '#') continue;
    if (colon == std::string::npos) throw std::runtime_error("not NAME : part=value ...: " + line);
    names.push_back(line.substr(0, colon));
    configurations.push_back(needle::parse_configuration(r.start(), line.substr(colon + 2)));
  }
  if (names.empty()) throw std::runtime_error(r.text("--list") + " is empty");
  needle::study& study = *bench.studies[0];
  study.evaluate(configurations);

  std::printf("Exact answers relative to the full cache, %%; %d documents per cell, %zu prompts\n\n| |",
              study.documents(), study.prompts());
  for (needle::named_model const& model : bench.models) std::printf(" %s |", model.name.c_str());
  std::printf(" mean | worst task | worst cell | difference (s.e.) |\n|---|");
  for (std::size_t i = 0; i < bench.models.size() + 4; ++i) std::printf("---|");
  std::string csv = "configuration,model,task,digits,context,budget,seed,documents,correct\n";
  csv += study.csv_of_full();
  for (std::size_t i = 0; i < names.size(); ++i) {
    needle::standing const stands = study.of(configurations[i]);
    needle::comparison const against = study.compare(configurations[i], configurations[0]);
    std::printf("\n| %s |", names[i].c_str());
    for (std::size_t m = 0; m < bench.models.size(); ++m)
      std::printf(" %.1f |", 100 * study.of_model(configurations[i], m));
    std::printf(" %.1f | %.1f | %.1f | %+.1f (%.1f) |", 100 * stands.mean, 100 * stands.worst,
                100 * stands.worst_cell, 100 * against.difference, 100 * against.standard_error);
    csv += study.csv(names[i], configurations[i]);
  }
  std::printf("\n");
  write_file(r.text("--csv"), csv);
}

/// Compresses a few prompts both ways; the caches must be equal, float for float.
void run_check(request const& r) {
  using needle::task_kind;
  int different = 0, compared = 0;
  for (std::string const& path : split(r.text("--models"), ',')) {
    needle::named_model const model(path);
    needle::document_writer const writer(model.words);
    for (task_kind const task : {task_kind::needle, task_kind::city})
      for (double const budget : {.08, .2, 1.}) {
        needle::random_source random(needle::document_seed(1, 256, 6, compared));
        needle::document const doc = writer.write(task, random, 256, 6, .5);
        needle::prefilled_prompt const prefilled(model.lm, doc.prompt, 1);
        needle::prompt_under_study studied(model.lm.config(), prefilled);
        int const keep = needle::kept_tokens(budget, studied.tokens());
        needle::kv_cache expected = prefilled.cache();
        auto const compressor =
            needle::make_compressor("default", model.lm.config(), {studied.tokens(), keep, task});
        for (int l = 0; l < model.lm.config().layers; ++l)
          compressor->layer_done(l, prefilled.queries(l), expected);
        needle::configuration const c =
            task == task_kind::city ? needle::default_aggregation() : needle::default_localization();
        if (!has_same_rows(studied.compress(needle::settings_of(c), keep, 1), expected)) ++different;
        ++compared;
      }
  }
  std::printf("%d of %d caches differ\n", different, compared);
  if (different > 0) throw std::runtime_error("default_method() is not what configuration.cpp says");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    request const r = parse(argc, argv);
    if (r.command == "check") {
      run_check(r);
      return 0;
    }
    test_bench bench(r);
    for (std::size_t c = 0; c < bench.cells.size(); ++c) {
      needle::document_cell const& cell = bench.cells[c];
      std::printf("%s%s %s %d %d", c == 0 ? "" : ", ", bench.models[cell.model].name.c_str(),
                  name_of(cell.task), cell.values, cell.context);
    }
    std::printf("\n");
    r.command == "search" ? run_search(r, bench) : run_comparison(r, bench);
    return 0;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_needle_frontier: %s\n\n%s", error.what(), usage);
    return 1;
  }
}
