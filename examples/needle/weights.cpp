// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "weights.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"

namespace needle {
namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

std::string read_file(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open the file");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::uint32_t byte(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

float half_to_float(std::uint32_t half) {
  int const exponent = static_cast<int>(half >> 10 & 31u);
  float const fraction = static_cast<float>(half & 1023u);
  float const magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                          : exponent == 31 ? (fraction == 0.f ? INFINITY : NAN)
                                           : std::ldexp(1024.f + fraction, exponent - 25);
  return half & 0x8000u ? -magnitude : magnitude;
}

/// The tensors of an opened file, by name.
class tensor_file {
 public:
  tensor_file(json_value const& index, std::string_view blob) : index_(index), blob_(blob) {}

  /// The tensor's values, after checking that its shape is [rows][cols] ([cols] when rows is 0).
  std::vector<float> read(std::string const& name, int rows, int cols) const {
    json_value const& entry = find(name);
    std::vector<int> const expected = rows == 0 ? std::vector<int>{cols} : std::vector<int>{rows, cols};
    if (entry.array()[1].integers() != expected)
      throw std::runtime_error("tensor " + name + " has another shape than cfg says");
    std::size_t const count = size(rows == 0 ? 1 : rows) * size(cols);
    int const offset = entry.array()[2].integer();
    if (offset < 0 || size(offset) + count > blob_.size() / 2)
      throw std::runtime_error("tensor " + name + " reaches beyond the end of the file");
    std::vector<float> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t const at = 2 * (size(offset) + i);
      out[i] = half_to_float(byte(blob_, at) | byte(blob_, at + 1) << 8);
    }
    return out;
  }

  /// A linear layer, stored [out][in] in the file, transposed for products of the form x * M.
  matrix read_linear(std::string const& name, int in, int out) const {
    std::vector<float> const stored = read(name, out, in);
    matrix m;
    m.inner = in;
    m.cols = out;
    m.stride = (out + 15) / 16 * 16;
    m.data.assign(size(in) * size(m.stride), 0.f);
    for (int o = 0; o < out; ++o)
      for (int i = 0; i < in; ++i)
        m.data[size(i) * size(m.stride) + size(o)] = stored[size(o) * size(in) + size(i)];
    return m;
  }

 private:
  json_value const& find(std::string const& name) const {
    for (json_value const& entry : index_.array())
      if (entry.array().size() == 3 && entry.array()[0].string() == name) return entry;
    throw std::runtime_error("tensor " + name + " is missing");
  }

  json_value const& index_;
  std::string_view blob_;
};

model_config read_config(json_value const& cfg) {
  model_config c;
  c.vocabulary = cfg["V"].integer();
  c.width = cfg["d"].integer();
  c.layers = cfg["L"].integer();
  c.query_heads = cfg["H"].integer();
  c.kv_heads = cfg["KV"].integer();
  c.head_dim = cfg["hd"].integer();
  c.ff_width = cfg["ff"].integer();
  c.rope_theta = static_cast<float>(cfg["theta"].number());
  if (cfg.has("rms_eps")) c.rms_eps = static_cast<float>(cfg["rms_eps"].number());

  auto const in_range = [](int n, int most) { return n >= 1 && n <= most; };
  if (!in_range(c.vocabulary, 1 << 20) || !in_range(c.width, 1 << 14) || !in_range(c.layers, 1024) ||
      !in_range(c.query_heads, 1024) || !in_range(c.kv_heads, c.query_heads) || !in_range(c.head_dim, 1024) ||
      !in_range(c.ff_width, 1 << 16) || !(c.rope_theta > 0.f))
    throw std::runtime_error("cfg holds a size that makes no sense");
  if (c.query_heads % c.kv_heads != 0) throw std::runtime_error("cfg: H is not a multiple of KV");
  if (c.head_dim % 16 != 0 || c.width % 16 != 0 || c.ff_width % 8 != 0)
    throw std::runtime_error("cfg: hd and d must be multiples of 16, ff of 8");
  return c;
}

model_weights parse(std::string_view bytes) {
  if (bytes.size() < 8 || bytes.substr(0, 4) != "TLM1") throw std::runtime_error("not a TLM1 file");
  std::size_t const header_size =
      byte(bytes, 4) | byte(bytes, 5) << 8 | byte(bytes, 6) << 16 | byte(bytes, 7) << 24;
  if (header_size > bytes.size() - 8)
    throw std::runtime_error("the header reaches beyond the end of the file");

  json_value const header = json_value::parse(bytes.substr(8, header_size));
  tensor_file const tensors(header["tensors"], bytes.substr(8 + header_size));
  model_weights w;
  model_config const& c = w.config = read_config(header["cfg"]);
  w.words = header["vocab"].strings();
  if (w.words.size() != size(c.vocabulary)) throw std::runtime_error("vocab has another size than cfg says");

  w.embedding = tensors.read("emb", c.vocabulary, c.width);
  w.head = tensors.read_linear("head", c.width, c.vocabulary);
  w.final_norm = tensors.read("nf", 0, c.width);
  for (int l = 0; l < c.layers; ++l) {
    std::string const prefix = "blocks." + std::to_string(l) + ".";
    layer_weights layer;
    layer.attention_norm = tensors.read(prefix + "n1", 0, c.width);
    layer.ff_norm = tensors.read(prefix + "n2", 0, c.width);
    layer.qkv = tensors.read_linear(prefix + "wqkv", c.width, c.qkv_width());
    layer.attention_out = tensors.read_linear(prefix + "wo", c.query_width(), c.width);
    layer.gate_up = tensors.read_linear(prefix + "wgu", c.width, 2 * c.ff_width);
    layer.ff_out = tensors.read_linear(prefix + "wd", c.ff_width, c.width);
    w.layers.push_back(std::move(layer));
  }
  return w;
}

}  // namespace

model_weights load_weights(std::string const& path) {
  try {
    return parse(read_file(path));
  } catch (std::exception const& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

}  // namespace needle
