// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "report.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace needle {
namespace {

// ---- tables -------------------------------------------------------------------------------------

std::string kibibytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", bytes / 1024);
  return text;
}

void print_heading(bool has_depths) {
  std::printf("%-18s %6s %6s", "method", "budget", "exact");
  if (has_depths) std::printf("  %-*s", 4 * depth_bins, " by depth, 5 % to 95 %");
  std::printf("  %6s %13s %9s %9s\n", "kept", "KiB", "compress", "decode");
}

void print_row(measurement const& m, bool has_depths) {
  std::printf("%-18s %5.0f%% %5.0f%%", m.method.c_str(), 100 * m.budget, 100 * m.total.accuracy());
  if (has_depths) std::printf("  ");
  for (score const& s : m.by_depth) {
    if (!has_depths) continue;
    if (s.documents == 0)
      std::printf("   -");
    else
      std::printf("%4.0f", 100 * s.accuracy());
  }
  std::string const bytes = kibibytes(m.bytes_before) + " > " + kibibytes(m.bytes_after);
  std::printf("  %6.1f %13s %6.2f ms %6.2f ms\n", m.kept_tokens, bytes.c_str(), m.compress_ms,
              m.decode_ms_per_token);
}

/// The mean over several cells (every cell has the same number of documents).
std::vector<measurement> over_cells(std::vector<measurement> const& measurements, std::size_t variants) {
  std::vector<measurement> means(measurements.begin(),
                                 measurements.begin() + static_cast<std::ptrdiff_t>(variants));
  for (std::size_t i = variants; i < measurements.size(); ++i) {
    measurement& mean = means[i % variants];
    measurement const& m = measurements[i];
    mean.total.add(m.total);
    for (std::size_t d = 0; d < mean.by_depth.size(); ++d) mean.by_depth[d].add(m.by_depth[d]);
    mean.kept_tokens += m.kept_tokens;
    mean.bytes_before += m.bytes_before;
    mean.bytes_after += m.bytes_after;
    mean.compress_ms += m.compress_ms;
    mean.decode_ms_per_token += m.decode_ms_per_token;
  }
  double const share = static_cast<double>(variants) / static_cast<double>(measurements.size());
  for (measurement& mean : means)
    for (double* sum : {&mean.kept_tokens, &mean.bytes_before, &mean.bytes_after, &mean.compress_ms,
                        &mean.decode_ms_per_token})
      *sum *= share;
  return means;
}

bool is_same_cell(measurement const& a, measurement const& b) {
  return a.task == b.task && a.context == b.context && a.values == b.values;
}

std::size_t variants_per_cell(std::vector<measurement> const& measurements) {
  std::size_t count = 1;
  while (count < measurements.size() && is_same_cell(measurements[count], measurements[0])) ++count;
  return count;
}

void print_table(std::vector<measurement> const& rows) {
  bool const has_depths = rows[0].task == task_kind::needle;
  print_heading(has_depths);
  for (measurement const& m : rows) print_row(m, has_depths);
}

// ---- JSON ---------------------------------------------------------------------------------------

std::string quoted(std::string const& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// [format(item), ...]
template <class Items, class Format>
std::string array(Items const& items, Format const& format) {
  std::string out = "[";
  for (auto const& item : items) out += (out.size() > 1 ? ", " : "") + format(item);
  return out + "]";
}

/// The file's name without its folders: results do not depend on where the weights lie.
std::string base_name(std::string const& path) { return path.substr(path.find_last_of("/\\") + 1); }

std::string settings_json(options const& o) {
  auto const integer = [](int n) { return std::to_string(n); };
  auto const name = [](task_kind task) { return quoted(name_of(task)); };
  std::ostringstream out;
  out << "{\"tasks\": " << (o.all_tasks ? quoted("all") : array(o.tasks, name))
      << ", \"weights\": " << quoted(base_name(o.weights)) << ", \"contexts\": " << array(o.contexts, integer)
      << ", \"values\": " << array(o.values, integer) << ", \"budgets\": " << array(o.budgets, number)
      << ", \"methods\": " << array(o.methods, quoted) << ", \"documents\": " << o.documents
      << ", \"seed\": " << o.seed << "}";
  return out.str();
}

std::string result_json(options const& o, measurement const& m) {
  auto const accuracy = [](score const& s) { return s.documents == 0 ? "null" : number(s.accuracy()); };
  std::ostringstream out;
  out << "{\"task\": " << quoted(name_of(m.task)) << ", \"weights\": " << quoted(base_name(o.weights))
      << ", \"context\": " << m.context
      << ", \"values\": " << (has_digits(m.task) ? std::to_string(m.values) : "null")
      << ", \"budget\": " << number(m.budget) << ", \"method\": " << quoted(m.method)
      << ", \"documents\": " << m.total.documents << ", \"correct\": " << m.total.correct
      << ", \"accuracy\": " << number(m.total.accuracy())
      << ", \"by_depth\": " << (m.task == task_kind::needle ? array(m.by_depth, accuracy) : "[]")
      << ", \"kept_tokens\": " << number(m.kept_tokens) << ", \"bytes_before\": " << number(m.bytes_before)
      << ", \"bytes_after\": " << number(m.bytes_after) << ", \"compress_ms\": " << number(m.compress_ms)
      << ", \"decode_ms_per_token\": " << number(m.decode_ms_per_token) << "}";
  return out.str();
}

}  // namespace

void print_tables(std::vector<measurement> const& measurements) {
  std::size_t const variants = variants_per_cell(measurements);
  for (auto first = measurements.begin(); first != measurements.end();) {
    auto const end_of_task =
        std::find_if(first, measurements.end(), [&](measurement const& m) { return m.task != first->task; });
    std::vector<measurement> const of_task(first, end_of_task);
    for (auto row = first; row != end_of_task; row += static_cast<std::ptrdiff_t>(variants)) {
      std::printf("%s, %d tokens, %d documents", name_of(row->task), row->context, row->total.documents);
      if (has_digits(row->task)) std::printf(", facts of %d digits", row->values);
      std::printf("\n");
      print_table({row, row + static_cast<std::ptrdiff_t>(variants)});
      std::printf("\n");
    }
    if (of_task.size() > variants) {
      std::printf("%s, all documents\n", name_of(of_task[0].task));
      print_table(over_cells(of_task, variants));
      std::printf("\n");
    }
    first = end_of_task;
  }
}

void print_replies(std::vector<reply> const& replies) {
  std::printf("%-18s %6s %16s   %s\n", "method", "budget", "kept per layer", "answer");
  for (reply const& r : replies)
    std::printf("%-18s %5.0f%% %8.1f of %4d   %s\n", r.method.c_str(), 100 * r.budget, r.kept_tokens,
                r.prompt_tokens, r.text.c_str());
}

std::string to_json(options const& o, std::vector<measurement> const& measurements) {
  std::string out = "{\"settings\": " + settings_json(o) + ",\n \"results\": [";
  for (std::size_t i = 0; i < measurements.size(); ++i)
    out += (i == 0 ? "\n  " : ",\n  ") + result_json(o, measurements[i]);
  return out + "\n ]}\n";
}

void write_file(std::string const& path, std::string const& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace needle
