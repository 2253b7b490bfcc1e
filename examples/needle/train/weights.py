# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The weights file: 'TLM1', the length of a text (u32), the text, all tensors as fp16; little-endian.

The text is JSON, {"cfg": ..., "vocab": [...], "tensors": [[name, shape, offset in elements], ...]}, and then
spaces that make the tensors start at a multiple of 64 bytes.
"""

import json
import struct

import numpy as np
import torch

from documents import VOCABULARY
from kernels import HEAD_SIZE
from model import EPSILON, Config, Model

MAGIC = b"TLM1"
ALIGNMENT = 64


def write_weights(path, model):
    c = model.config
    config = {"V": c.vocabulary, "d": c.width, "L": c.layers, "H": c.heads, "KV": c.kv_heads, "hd": HEAD_SIZE}
    config.update(ff=c.hidden, theta=c.theta, rms_eps=EPSILON)
    config["rope"] = "half-split (rotate_half), theta as given, positions from 0"
    config["qkv"] = "rows = H q heads, KV k heads, KV v heads"
    config["gu"] = "rows = ff gate then ff up; y=silu(gate)*up"
    tensors, offset = [], 0
    for name, p in model.named_parameters():
        tensors.append([name, list(p.shape), offset])
        offset += p.numel()
    text = json.dumps({"cfg": config, "vocab": VOCABULARY[: c.vocabulary], "tensors": tensors}).encode()
    text += b" " * (-(len(MAGIC) + 4 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(MAGIC + struct.pack("<I", len(text)) + text)
        for p in model.parameters():
            file.write(p.detach().numpy().astype("<f2").tobytes())


def read_weights(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != MAGIC:
        raise ValueError(f"{path} is not a weights file")
    start = 8 + struct.unpack("<I", data[4:8])[0]
    header = json.loads(data[8:start])
    c = header["cfg"]
    if header["vocab"] != VOCABULARY[: c["V"]] or c["hd"] != HEAD_SIZE:
        raise ValueError(f"{path} has another vocabulary or head size")
    model = Model(Config(c["V"], c["d"], c["L"], c["H"], c["KV"], c["ff"], c["theta"]))
    parameters = dict(model.named_parameters())
    for name, shape, offset in header["tensors"]:
        values = np.frombuffer(data, "<f2", int(np.prod(shape)), start + 2 * offset)
        parameters[name].data.copy_(torch.from_numpy(values.astype(np.float32)).view(shape))
    return model
