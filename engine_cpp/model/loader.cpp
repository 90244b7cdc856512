#include "model/loader.hpp"

#include "model/sharding.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace qwen3 {
namespace {

size_t slice_bytes(const TensorView& view, const Slice& slice) {
    return static_cast<size_t>(slice.rows.size() * slice.columns.size()) * size_of(view.dtype);
}

// Gives the pages behind a repacked weight back: they lie in a read-only file mapping and can be read again.
void drop(const TensorView& view, const Slice& slice) {
    if (!view.mapped) return;
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const size_t row = view.nbytes() / static_cast<size_t>(view.shape.front());
    const bool whole_rows = view.shape.size() == 2;
    const auto data = reinterpret_cast<uintptr_t>(view.data);
    const uintptr_t begin = data + (whole_rows ? static_cast<size_t>(slice.rows.begin) * row : 0);
    const uintptr_t end = whole_rows ? data + static_cast<size_t>(slice.rows.end) * row : data + view.nbytes();
    const uintptr_t first = begin / page * page;  // neighbours on a shared page are simply read again
    const uintptr_t last = end / page * page;
    if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

// The embedding and the head bear four bits badly, and are the largest matrices of a small model: int8 at least.
WeightType kept_as(Slot slot, WeightType type) {
    const bool vocabulary = slot == Slot::input_embd || slot == Slot::output_embd;
    return vocabulary && type == WeightType::int4 ? WeightType::int8 : type;
}

template <class Fn>
void for_each_slot(const Meta& meta, Fn&& fn) {
    for (size_t i = 0; i < kSlots; ++i) {
        const auto slot = static_cast<Slot>(i);
        if (slot == Slot::output_embd && meta.tie_embd) continue;
        for (int64_t layer = 0; layer < (per_layer(slot) ? meta.nlayer : 1); ++layer) fn(slot, layer);
    }
}

}  // namespace

size_t shard_source_bytes(const Meta& meta, const Weights& weights, const Shard& shard) {
    size_t bytes = 0;
    for_each_slot(meta, [&](Slot slot, int64_t layer) {
        bytes += slice_bytes(weights.at(slot, layer), slice_of(slot, meta, shard));
    });
    return bytes;
}

DeviceWeights load_shard(Ops& ops, const DeviceShape& shape, const Weights& weights, const LoadedFn& loaded) {
    auto finish = [&](const TensorView& view, const Slice& slice) {
        drop(view, slice);
        loaded(slice_bytes(view, slice));
    };
    auto matrix = [&](Slot slot, int64_t layer = 0) {
        const TensorView& view = weights.at(slot, layer);
        const Slice slice = slice_of(slot, shape.meta, shape.shard);
        auto packed = ops.pack(view, slice, kept_as(slot, shape.weights));
        finish(view, slice);
        return packed;
    };
    auto vector = [&](Slot slot, int64_t layer = 0) {
        const TensorView& view = weights.at(slot, layer);
        auto packed = ops.pack_vector(view);
        finish(view, slice_of(slot, shape.meta, shape.shard));
        return packed;
    };

    DeviceWeights out;
    out.input_embd = matrix(Slot::input_embd);
    for (int64_t i = 0; i < shape.meta.nlayer; ++i) {
        Layer layer;
        layer.attn_norm = vector(Slot::attn_norm, i);
        layer.q_proj = matrix(Slot::attn_q_proj, i);
        layer.k_proj = matrix(Slot::attn_k_proj, i);
        layer.v_proj = matrix(Slot::attn_v_proj, i);
        layer.attn_q_norm = vector(Slot::attn_q_norm, i);
        layer.attn_k_norm = vector(Slot::attn_k_norm, i);
        layer.o_proj = matrix(Slot::attn_o_proj, i);
        layer.ffn_norm = vector(Slot::ffn_norm, i);
        layer.gate_proj = matrix(Slot::mlp_gate_proj, i);
        layer.up_proj = matrix(Slot::mlp_up_proj, i);
        layer.down_proj = matrix(Slot::mlp_down_proj, i);
        out.layers.push_back(std::move(layer));
    }
    out.output_norm = vector(Slot::output_norm);
    if (!shape.meta.tie_embd) out.output_embd = matrix(Slot::output_embd);
    return out;
}

}  // namespace qwen3
