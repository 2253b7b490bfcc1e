// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace golden {

/// One JSON value. Accessors throw std::runtime_error for a value of another kind or a missing member.
/// NaN, Infinity and -Infinity are read as numbers, since Python writes them.
class json {
 public:
  static json parse(std::string_view text);

  bool is_null() const { return kind_ == kind::null; }
  bool boolean() const { return as(kind::boolean, "true or false"), number_ != 0; }
  double number() const { return as(kind::number, "a number"), number_; }
  std::string const& string() const { return as(kind::string, "a string"), string_; }
  std::vector<json> const& array() const { return as(kind::array, "an array"), array_; }
  std::map<std::string, json> const& object() const { return as(kind::object, "an object"), object_; }

  std::int64_t integer() const {
    constexpr double limit = 9007199254740992.0;  // every smaller whole number is exact in a double
    double const value = number();
    if (!(std::fabs(value) < limit) || value != std::floor(value)) {
      throw std::runtime_error("JSON: a whole number is wanted");
    }
    return static_cast<std::int64_t>(value);
  }
  /// A count, index or size that fits `int`.
  int small_integer() const {
    std::int64_t const value = integer();
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
      throw std::runtime_error("JSON: number too large: " + std::to_string(value));
    }
    return static_cast<int>(value);
  }

  /// The member, or null where there is none (or where it is null).
  json const* find(std::string const& name) const {
    auto const it = object().find(name);
    return it == object_.end() || it->second.is_null() ? nullptr : &it->second;
  }
  json const& operator[](std::string const& name) const {
    json const* member = find(name);
    if (member == nullptr) throw std::runtime_error("JSON: \"" + name + "\" is missing");
    return *member;
  }

 private:
  friend class json_parser;
  enum class kind { null, boolean, number, string, array, object };

  void as(kind wanted, char const* name) const {
    if (kind_ != wanted) throw std::runtime_error(std::string("JSON: ") + name + " is wanted");
  }

  kind kind_ = kind::null;
  double number_ = 0;
  std::string string_;
  std::vector<json> array_;
  std::map<std::string, json> object_;
};

/// Recursive descent over one text.
class json_parser {
 public:
  explicit json_parser(std::string_view text) : text_(text) {}

  json document() {
    json value = any(0);
    skip_space();
    if (at_ != text_.size()) fail("text behind the end");
    return value;
  }

 private:
  static constexpr int max_depth = 100;

  json any(int depth) {
    if (depth > max_depth) fail("nested too deeply");
    skip_space();
    json value;
    if (accept('{')) {
      value.kind_ = json::kind::object;
      sequence('}', [&] {
        skip_space();
        std::string name = quoted();
        skip_space();
        expect(':');
        value.object_.insert_or_assign(std::move(name), any(depth + 1));
      });
    } else if (accept('[')) {
      value.kind_ = json::kind::array;
      sequence(']', [&] { value.array_.push_back(any(depth + 1)); });
    } else if (peek() == '"') {
      value.kind_ = json::kind::string;
      value.string_ = quoted();
    } else {
      word(value);
    }
    return value;
  }

  /// Comma-separated items up to `end`.
  template <class Item>
  void sequence(char end, Item&& item) {
    skip_space();
    if (accept(end)) return;
    for (;;) {
      item();
      skip_space();
      if (accept(end)) return;
      expect(',');
    }
  }

  /// true, false, null, or a number.
  void word(json& value) {
    std::size_t const begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '+' || text_[at_] == '-' || text_[at_] == '.')) {
      ++at_;
    }
    std::string const token(text_.substr(begin, at_ - begin));
    if (token == "null") return;
    if (token == "true" || token == "false") {
      value.kind_ = json::kind::boolean;
      value.number_ = token == "true" ? 1 : 0;
      return;
    }
    char* end = nullptr;
    value.kind_ = json::kind::number;
    value.number_ = std::strtod(token.c_str(), &end);
    if (token.empty() || *end != '\0') fail("not a value");
  }

  std::string quoted() {
    expect('"');
    std::string out;
    for (;;) {
      char const c = next();
      if (c == '"') return out;
      out += c == '\\' ? escaped() : c;
    }
  }

  char escaped() {
    char const c = next();
    switch (c) {
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'u':  // only notes hold such characters, and nothing depends on them
        for (int i = 0; i < 4; ++i) next();
        return '?';
      default:
        return c;
    }
  }

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    if (at_ == text_.size()) fail("the text ends too early");
    return text_[at_++];
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail((std::string("'") + c + "' is wanted").c_str());
  }
  [[noreturn]] void fail(char const* problem) const {
    throw std::runtime_error("JSON: byte " + std::to_string(at_) + ": " + problem);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline json json::parse(std::string_view text) { return json_parser(text).document(); }

}  // namespace golden
