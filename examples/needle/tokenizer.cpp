// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tokenizer.hpp"

#include <cctype>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace needle {
namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_mark(char c) { return std::string_view(".,:;!?").find(c) != std::string_view::npos; }
bool is_digit(std::string const& word) { return word.size() == 1 && is_digit(word[0]); }

}  // namespace

tokenizer::tokenizer(std::vector<std::string> words) : words_(std::move(words)) {
  for (std::size_t i = 0; i < words_.size(); ++i) index_.emplace(words_[i], static_cast<int>(i));
}

int tokenizer::token(std::string const& word) const {
  auto const found = index_.find(word);
  if (found == index_.end()) throw std::runtime_error("the model's vocabulary has no word \"" + word + "\"");
  return found->second;
}

std::vector<int> tokenizer::encode(std::string_view text) const {
  std::vector<int> tokens;
  std::string word;
  auto const end_word = [&] {
    if (!word.empty()) tokens.push_back(token(word));
    word.clear();
  };
  for (char c : text) {
    if (is_space(c)) {
      end_word();
    } else if (is_digit(c) || is_mark(c)) {
      end_word();
      tokens.push_back(token(std::string(1, c)));
    } else {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  end_word();
  return tokens;
}

std::string const& tokenizer::word(int token) const { return words_.at(static_cast<std::size_t>(token)); }

std::string tokenizer::decode(std::vector<int> const& tokens) const {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i != 0 && !(is_digit(word(tokens[i - 1])) && is_digit(word(tokens[i])))) text += ' ';
    text += word(tokens[i]);
  }
  return text;
}

}  // namespace needle
