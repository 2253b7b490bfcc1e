// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "json.hpp"

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace needle {

/// Recursive descent over the text; `at_` is the next unread character.
class json_parser {
 public:
  explicit json_parser(std::string_view text) : text_(text) {}

  json_value document() {
    json_value value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("unexpected text after the value");
    return value;
  }

 private:
  [[noreturn]] void fail(char const* what) const {
    throw std::runtime_error("JSON, character " + std::to_string(at_) + ": " + what);
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void expect(char c, char const* what) {
    if (!take(c)) fail(what);
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  json_value parse_value(int depth) {
    if (depth > 64) fail("nested too deeply");
    json_value value;
    char const c = peek();
    if (c == '{') {
      value.kind_ = json_value::kind::object;
      ++at_;
      if (take('}')) return value;
      do {
        if (peek() != '"') fail("a member's name is missing");
        std::string name = parse_string();
        expect(':', "':' is missing");
        value.object_[std::move(name)] = parse_value(depth + 1);
      } while (take(','));
      expect('}', "'}' is missing");
    } else if (c == '[') {
      value.kind_ = json_value::kind::array;
      ++at_;
      if (take(']')) return value;
      do value.array_.push_back(parse_value(depth + 1));
      while (take(','));
      expect(']', "']' is missing");
    } else if (c == '"') {
      value.kind_ = json_value::kind::string;
      value.string_ = parse_string();
    } else if (take_word("true") || take_word("false")) {
      value.kind_ = json_value::kind::boolean;
    } else if (!take_word("null")) {
      value.kind_ = json_value::kind::number;
      value.number_ = parse_number();
    }
    return value;
  }

  double parse_number() {
    std::size_t const begin = at_;
    while (at_ < text_.size() &&
           std::string_view("+-.eE0123456789").find(text_[at_]) != std::string_view::npos)
      ++at_;
    std::string const digits(text_.substr(begin, at_ - begin));
    char* end = nullptr;
    double const number = std::strtod(digits.c_str(), &end);
    if (digits.empty() || *end != '\0') fail("not a value");
    return number;
  }

  std::string parse_string() {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c == '\\') {
        ++at_;
        c = at_ < text_.size() ? text_[at_] : '\0';
        if (c == 'n')
          c = '\n';
        else if (c == 't')
          c = '\t';
        else if (c != '"' && c != '\\' && c != '/')
          fail("this escape is not supported");
      }
      out += c;
    }
    fail("a string does not end");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

json_value json_value::parse(std::string_view text) { return json_parser(text).document(); }

void json_value::require(kind wanted, char const* name) const {
  if (kind_ != wanted) throw std::runtime_error(std::string("JSON: expected ") + name);
}

double json_value::number() const {
  require(kind::number, "a number");
  return number_;
}

int json_value::integer() const {
  double const value = number();
  if (value != std::floor(value) || std::fabs(value) > 2e9)
    throw std::runtime_error("JSON: expected an integer");
  return static_cast<int>(value);
}

std::string const& json_value::string() const {
  require(kind::string, "a string");
  return string_;
}

std::vector<json_value> const& json_value::array() const {
  require(kind::array, "an array");
  return array_;
}

std::map<std::string, json_value> const& json_value::object() const {
  require(kind::object, "an object");
  return object_;
}

bool json_value::has(std::string const& name) const { return object().count(name) != 0; }

json_value const& json_value::operator[](std::string const& name) const {
  auto const found = object().find(name);
  if (found == object_.end()) throw std::runtime_error("JSON: member \"" + name + "\" is missing");
  return found->second;
}

std::vector<int> json_value::integers() const {
  std::vector<int> out;
  for (json_value const& item : array()) out.push_back(item.integer());
  return out;
}

std::vector<float> json_value::floats() const {
  std::vector<float> out;
  for (json_value const& item : array()) out.push_back(static_cast<float>(item.number()));
  return out;
}

std::vector<std::string> json_value::strings() const {
  std::vector<std::string> out;
  for (json_value const& item : array()) out.push_back(item.string());
  return out;
}

}  // namespace needle
