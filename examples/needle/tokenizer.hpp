// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace needle {

/// Words to tokens and back. A text is split at white space; every digit and every punctuation mark is a
/// token of its own; letters are taken in lower case.
class tokenizer {
 public:
  explicit tokenizer(std::vector<std::string> words);

  /// Token of one word; throws std::runtime_error naming a word that the vocabulary lacks.
  int token(std::string const& word) const;
  std::vector<int> encode(std::string_view text) const;

  std::string const& word(int token) const;
  /// The words with spaces between them; digits that follow one another are joined.
  std::string decode(std::vector<int> const& tokens) const;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string, int> index_;
};

}  // namespace needle
