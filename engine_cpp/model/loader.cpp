#include "model/loader.hpp"

#include "model/sharding.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace qwen3 {
namespace {

size_t slice_bytes(const TensorView& view, const Slice& slice) {
    if (view.encoded)  // a share of what lies in no order of rows
        return static_cast<size_t>(static_cast<double>(view.nbytes()) *
                                   static_cast<double>(slice.rows.size() * slice.columns.size()) /
                                   static_cast<double>(view.shape[0] * view.shape[1]));
    return static_cast<size_t>(slice.rows.size() * slice.columns.size()) * size_of(view.dtype);
}

void drop_pages(const std::byte* begin, size_t bytes) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<uintptr_t>(begin);
    const uintptr_t first = address / page * page;  // neighbours on a shared page are simply read again
    const uintptr_t last = (address + bytes) / page * page;
    if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

// Gives the pages behind a repacked weight back: they lie in a read-only file mapping and can be read again.
void drop(const TensorView& view, const Slice& slice) {
    if (!view.mapped) return;
    if (view.encoded) {
        for (const Part* part : {&view.encoded->values, &view.encoded->scales, &view.encoded->zeros})
            drop_pages(part->data, part->nbytes());
        return;
    }
    const size_t row = view.nbytes() / static_cast<size_t>(view.shape.front());
    const bool whole_rows = view.shape.size() == 2;
    const Range rows = whole_rows ? slice.rows : Range{0, view.shape.front()};
    drop_pages(view.data + static_cast<size_t>(rows.begin) * row, static_cast<size_t>(rows.size()) * row);
}

// The embedding and the head bear four bits badly, and are the largest matrices of a small model: int8 at least.
// A router decides by small differences, and in whole numbers it would decide otherwise: its floats stay as they are.
WeightType kept_as(Slot slot, const TensorView& view, const DeviceShape& shape) {
    if (slot == Slot::moe_router) return view.encoded ? WeightType::f32 : weight_type(view.dtype);
    WeightType type = shape.weights;
    if (shape.as_stored) type = view.stored_type() == WeightType::int4 ? WeightType::int4 : WeightType::int8;
    const bool vocabulary = slot == Slot::input_embd || slot == Slot::output_embd;
    return vocabulary && type == WeightType::int4 ? WeightType::int8 : type;
}

}  // namespace

size_t shard_source_bytes(const Meta& meta, const Weights& weights, const Shard& shard) {
    size_t bytes = 0;
    for_each_place(
        meta, [&](const Place& place) { bytes += slice_bytes(weights.at(place), slice_of(place.slot, meta, shard)); });
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
        auto packed = ops.pack(view, slice, kept_as(slot, view, shape));
        finish(view, slice);
        return packed;
    };
    auto vector = [&](Slot slot, int64_t layer = 0) {
        const TensorView& view = weights.at(slot, layer);
        auto packed = ops.pack_vector(view);
        finish(view, slice_of(slot, shape.meta, shape.shard));
        return packed;
    };

    auto matrices = [&](Slot slot, int64_t layer) {
        const Slice slice = slice_of(slot, shape.meta, shape.shard);
        std::vector<Source> sources;
        for (int64_t expert = 0; expert < shape.meta.experts.count; ++expert) {
            const TensorView& view = weights.at(slot, layer, expert);
            sources.push_back({&view, kept_as(slot, view, shape)});
        }
        return ops.pack_all(sources, slice, [&](size_t i) { finish(*sources[i].weight, slice); });
    };
    auto experts = [&](int64_t layer) {
        auto gates = matrices(Slot::expert_gate_proj, layer), ups = matrices(Slot::expert_up_proj, layer),
             downs = matrices(Slot::expert_down_proj, layer);
        std::vector<Expert> all;
        for (size_t i = 0; i < gates.size(); ++i)
            all.push_back({std::move(gates[i]), std::move(ups[i]), std::move(downs[i])});
        return all;
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
        if (shape.meta.sparse(i)) {
            layer.router = matrix(Slot::moe_router, i);
            layer.experts = experts(i);
        } else {
            layer.gate_proj = matrix(Slot::mlp_gate_proj, i);
            layer.up_proj = matrix(Slot::mlp_up_proj, i);
            layer.down_proj = matrix(Slot::mlp_down_proj, i);
        }
        out.layers.push_back(std::move(layer));
    }
    out.output_norm = vector(Slot::output_norm);
    if (!shape.meta.tie_embd) out.output_embd = matrix(Slot::output_embd);
    return out;
}

}  // namespace qwen3
