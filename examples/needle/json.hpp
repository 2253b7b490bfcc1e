// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace needle {

/// One JSON value, parsed: enough of the format for the weight files' header and the reference vectors.
/// The accessors throw std::runtime_error when the value is of another kind or a member is missing.
class json_value {
 public:
  static json_value parse(std::string_view text);

  double number() const;
  int integer() const;
  std::string const& string() const;
  std::vector<json_value> const& array() const;
  std::map<std::string, json_value> const& object() const;

  bool has(std::string const& name) const;
  json_value const& operator[](std::string const& name) const;

  std::vector<int> integers() const;
  std::vector<float> floats() const;
  std::vector<std::string> strings() const;

 private:
  friend class json_parser;
  enum class kind { null, boolean, number, string, array, object };
  void require(kind wanted, char const* name) const;

  kind kind_ = kind::null;
  double number_ = 0;
  std::string string_;
  std::vector<json_value> array_;
  std::map<std::string, json_value> object_;
};

}  // namespace needle
