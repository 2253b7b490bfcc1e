# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compresses KV caches in place: a ctypes door to windowkv for whatever speaks DLPack (PyTorch, NumPy, ...).

    report = windowkv.compress(keys, values, queries, budget=1024, task="localization")
    keys = [k[:, :, :n] for k, (n,) in zip(keys, report.lengths)]

The shared library is looked for in $WINDOWKV_C_LIBRARY, then beside this file. Letters as in windowkv_c.h:
B sequences, L layers, Hq query heads, Hkv KV heads, N slots, D head dimension, S suffix queries.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence

METHODS = {"default": 0, "paper": 1}
TASKS = {"localization": 0, "aggregation": 1}
AXES = {"bhnd": 0, "bnhd": 1}
PADDINGS = {"right": 0, "left": 1}


class WindowkvError(ValueError):
    """The library has refused; no tensor has been written to. `code` is the number that it returned."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Plan:
    """What the compression of a prompt will need and leave."""

    suffix: int  #: S as observed
    needs_queries: list[bool]  #: [L] layers whose suffix queries must be given
    max_kept: list[int]  #: [L] most tokens that a layer may keep


@dataclass(frozen=True)
class Report:
    """What a compression has done."""

    lengths: list[list[int]]  #: [L][B] slots [0, length) hold the kept tokens, in ascending order of position
    retained: list[list[float]]  #: [L][B] share of the observed attention that they had received
    bytes_before: int
    bytes_after: int
    #: [L][B][length] original positions of the kept tokens, padding not counted; None if they were not wanted
    positions: Optional[list[list[list[int]]]]


def plan(layers: int, tokens: int, *, evictable: Optional[Sequence[bool]] = None, **policy: Any) -> Plan:
    """Says before the prefill which layers need how many queries, and what will be left of `tokens` tokens.

    `policy` and `evictable` are those of `compress`. Raises WindowkvError.
    """
    options = _options(**policy)
    suffix = ctypes.c_int32()
    needs_queries = (ctypes.c_uint8 * max(layers, 1))()
    max_kept = (ctypes.c_int32 * max(layers, 1))()
    _call(
        "windowkv_plan", ctypes.byref(options), ctypes.c_int32(layers), ctypes.c_int32(tokens),
        _flags(evictable, layers), ctypes.byref(suffix), needs_queries, max_kept,
    )  # fmt: skip
    return Plan(suffix.value, [n != 0 for n in needs_queries], list(max_kept))


def compress(
    keys: Sequence[Any],
    values: Sequence[Any],
    queries: Sequence[Any],
    *,
    lengths: Optional[Sequence[int]] = None,
    padding: str = "right",
    axes: str = "bhnd",
    evictable: Optional[Sequence[bool]] = None,
    threads: int = 1,
    with_positions: bool = False,
    **policy: Any,
) -> Report:
    """Compresses the caches of a batch in place, each sequence by itself.

    keys, values    [L] of [B, Hkv, N, D] (axes="bhnd") or [B, N, Hkv, D] ("bnhd"): float32, float16 or bfloat16 in
                    host memory, after RoPE, without gradient. Any strides will do that are positive.
    queries         [L] of [B, Hq, rows, D], after RoPE; None where `plan` needs none. Rows are the last real tokens
                    of every sequence, at least S of them or all its tokens. With N rows: padded as the cache is.
    lengths         [B] tokens of each sequence, N without it; the rest is padding, on the side `padding`
    evictable       [L] False for layers that are left as they are; their tensors may be None
    threads         that work on this call; the result does not depend on them
    with_positions  whether the report has positions
    policy          budget: tokens to keep per layer, the mean over layers (0: the method's);
                    task: "localization" (find a fact) or "aggregation" (digest everything);
                    method: "default" or "paper"; suffix: S (0: the method's);
                    layers_per_group: layers that share a selection (0: 8)

    Raises WindowkvError for what the library refuses, and TypeError, BufferError or RuntimeError where a tensor does
    not export itself: nothing has changed then.
    """
    layers = len(keys)
    if len(values) != layers or len(queries) != layers:
        raise ValueError(f"keys, values and queries are of {layers}, {len(values)} and {len(queries)} layers")
    flags = _flags(evictable, layers)
    tensors = [
        _Tensors([t if flags is None or flags[i] else None for i, t in enumerate(role)], writes)
        for role, writes in ((keys, True), (values, True), (queries, False))
    ]
    first = next((t for t in tensors[0].tensors if t is not None), None)
    sequences = int(first.shape[0]) if first is not None else 0
    slots = int(first.shape[1 if axes == "bnhd" else 2]) if first is not None else 0
    if lengths is not None and len(lengths) != sequences:
        raise ValueError(f"lengths are of {len(lengths)} sequences, the tensors of {sequences}")

    pairs = layers * sequences
    length_out = (ctypes.c_int32 * max(pairs, 1))()
    retained_out = (ctypes.c_float * max(pairs, 1))()
    position_out = (ctypes.c_int32 * (pairs * slots))() if with_positions else None
    options = _options(axes=axes, padding=padding, threads=threads, **policy)
    cache = _Cache(
        ctypes.sizeof(_Cache), layers, *(t.pointers for t in tensors),
        None if lengths is None else (ctypes.c_int32 * sequences)(*lengths), flags,
    )  # fmt: skip
    report = _Report(ctypes.sizeof(_Report), 0, length_out, position_out, retained_out, 0, 0)
    _call("windowkv_compress", ctypes.byref(options), ctypes.byref(cache), ctypes.byref(report))

    def table(flat: Any) -> list[list[Any]]:
        return [list(flat[layer * sequences : (layer + 1) * sequences]) for layer in range(layers)]

    kept = table(length_out)
    positions = None
    if position_out is not None:
        starts = table(range(0, pairs * slots, slots))
        positions = [
            [position_out[start : start + n] for start, n in zip(*of_layer)] for of_layer in zip(starts, kept)
        ]
    return Report(kept, table(retained_out), report.bytes_before, report.bytes_after, positions)


class _Options(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32 if name == "size" else ctypes.c_int32)
        for name in "size method task axes padding budget suffix layers_per_group threads reserved".split()
    ]


class _Cache(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("layers", ctypes.c_int32),
        ("keys", ctypes.POINTER(ctypes.c_void_p)),
        ("values", ctypes.POINTER(ctypes.c_void_p)),
        ("queries", ctypes.POINTER(ctypes.c_void_p)),
        ("lengths", ctypes.POINTER(ctypes.c_int32)),
        ("evictable", ctypes.POINTER(ctypes.c_uint8)),
    ]


class _Report(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("reserved", ctypes.c_int32),
        ("lengths", ctypes.POINTER(ctypes.c_int32)),
        ("positions", ctypes.POINTER(ctypes.c_int32)),
        ("retained", ctypes.POINTER(ctypes.c_float)),
        ("bytes_before", ctypes.c_int64),
        ("bytes_after", ctypes.c_int64),
    ]


class _VersionedHead(ctypes.Structure):
    """DLManagedTensorVersioned up to the DLTensor in it."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
    ]


_READ_ONLY = 1  # DLPACK_FLAG_BITMASK_READ_ONLY
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype = ctypes.c_char_p
_capsule_name.argtypes = [ctypes.py_object]


class _Tensors:
    """Addresses of the DLTensors of a list of tensors. Owns the capsules, and so the memory, while it lives."""

    def __init__(self, tensors: Sequence[Any], writes: bool) -> None:
        self.tensors = tensors
        self._capsules = [None if t is None else _export(t) for t in tensors]
        self.pointers = (ctypes.c_void_p * max(len(tensors), 1))(
            *(None if c is None else _dl_tensor(c, writes) for c in self._capsules)
        )


def _export(tensor: Any) -> Any:
    if not hasattr(tensor, "__dlpack__"):
        raise TypeError(f"{type(tensor).__name__} has no __dlpack__")
    try:
        return tensor.__dlpack__(max_version=(1, 0))
    except TypeError:  # an exporter from before there were versions
        return tensor.__dlpack__()


def _dl_tensor(capsule: Any, writes: bool) -> int:
    name = _capsule_name(capsule)
    address = _capsule_pointer(capsule, name)
    if name == b"dltensor":
        return address
    if name != b"dltensor_versioned":
        raise BufferError(f"a capsule named {name!r} holds no DLPack tensor")
    head = _VersionedHead.from_address(address)
    if head.major != 1:
        raise BufferError(f"the tensor is of DLPack {head.major}.{head.minor}; this module reads version 1")
    if writes and head.flags & _READ_ONLY:
        raise BufferError("the tensor is read-only and would be written to")
    return address + ctypes.sizeof(_VersionedHead)


def _options(
    *,
    budget: int = 0,
    task: str = "localization",
    method: str = "default",
    suffix: int = 0,
    layers_per_group: int = 0,
    axes: str = "bhnd",
    padding: str = "right",
    threads: int = 1,
) -> _Options:
    def number(what: str, name: str, names: dict[str, int]) -> int:
        if name not in names:
            raise ValueError(f"{what} must be one of {', '.join(names)}, not {name!r}")
        return names[name]

    return _Options(
        ctypes.sizeof(_Options), number("method", method, METHODS), number("task", task, TASKS),
        number("axes", axes, AXES), number("padding", padding, PADDINGS), budget, suffix, layers_per_group, threads,
    )  # fmt: skip


def _flags(evictable: Optional[Sequence[bool]], layers: int) -> Any:
    if evictable is None:
        return None
    if len(evictable) != layers:
        raise ValueError(f"evictable is of {len(evictable)} layers, not of {layers}")
    return (ctypes.c_uint8 * layers)(*(1 if e else 0 for e in evictable))


_library: Optional[ctypes.CDLL] = None


def _load() -> ctypes.CDLL:
    global _library
    if _library is None:
        name = {"win32": "windowkv_c.dll", "darwin": "libwindowkv_c.dylib"}.get(sys.platform, "libwindowkv_c.so")
        path = os.environ.get("WINDOWKV_C_LIBRARY") or Path(__file__).resolve().with_name(name)
        try:
            _library = ctypes.CDLL(str(path))
        except OSError as problem:
            hint = "build the CMake target windowkv_c and set WINDOWKV_C_LIBRARY to its file"
            raise OSError(f"{problem}: {hint}") from None
    return _library


def _call(function: str, *arguments: Any) -> None:
    error = ctypes.create_string_buffer(256)
    code = getattr(_load(), function)(*arguments, error, ctypes.c_size_t(len(error)))
    if code != 0:
        raise WindowkvError(code, error.value.decode())
