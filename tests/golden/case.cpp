// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "case.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace golden {
namespace {

namespace fs = std::filesystem;

std::string read_file(fs::path const& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.filename().string() + ": cannot be read");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

template <class T>
tensor<T> read_tensor(golden_case const& c, json const& call, char const* kind, char const* name,
                      char const* dtype) {
  static_assert(sizeof(T) == 4, "the format has 4-byte elements only");
  json const* entry = call[kind].find(name);
  if (entry == nullptr) return {};
  if ((*entry)["dtype"].string() != dtype) {
    throw std::runtime_error(std::string(name) + ": dtype must be " + dtype);
  }
  tensor<T> out;
  std::uintmax_t elements = 1;
  for (json const& extent : (*entry)["shape"].array()) {
    out.shape.push_back(extent.small_integer());
    if (out.shape.back() < 0) throw std::runtime_error(std::string(name) + ": negative extent");
    elements *= static_cast<std::uintmax_t>(out.shape.back());
  }
  std::string const& file = (*entry)["file"].string();
  std::string const bytes = read_file(c.folder / file);
  if (bytes.size() != elements * sizeof(T)) {
    throw std::runtime_error(file + ": has " + std::to_string(bytes.size()) + " bytes, its shape needs " +
                             std::to_string(elements * sizeof(T)));
  }
  out.values.resize(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(out.values.data(), bytes.data(), bytes.size());
  return out;
}

}  // namespace

tensor<float> golden_case::floats(json const& call, char const* kind, char const* name) const {
  return read_tensor<float>(*this, call, kind, name, "f32");
}

tensor<std::int32_t> golden_case::integers(json const& call, char const* kind, char const* name) const {
  return read_tensor<std::int32_t>(*this, call, kind, name, "i32");
}

std::vector<fs::path> find_cases(fs::path const& given) {
  if (!fs::is_directory(given)) throw std::runtime_error(given.string() + ": no such folder");
  fs::path const folder = fs::canonical(given);  // has a name even for "." and "cases/"
  if (fs::exists(folder / "case.json")) return {folder};
  std::vector<fs::path> below;
  for (auto const& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && entry.path().filename().string().front() != '.')
      below.push_back(entry.path());
  }
  if (below.empty()) return {folder};
  std::sort(below.begin(), below.end());
  std::vector<fs::path> cases;
  for (fs::path const& path : below) {
    for (fs::path& found : find_cases(path)) cases.push_back(std::move(found));
  }
  return cases;
}

golden_case load_case(fs::path const& folder) {
  golden_case c{folder, {}};
  if (!fs::exists(folder / "case.json")) throw std::runtime_error("no case.json in the folder");
  c.description = json::parse(read_file(folder / "case.json"));
  std::string const& format = c.description["format"].string();
  if (format != "kvgolden-1") throw std::runtime_error("format " + format + " is unknown");
  return c;
}

}  // namespace golden
