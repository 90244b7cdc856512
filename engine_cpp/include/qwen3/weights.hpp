// Weights as the caller holds them: host views, read in place while the engine loads them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3/encoding.hpp"
#include "qwen3/meta.hpp"

namespace qwen3 {

enum class DType : uint8_t { f32, f16, bf16 };

constexpr size_t size_of(DType dtype) { return dtype == DType::f32 ? 4 : 2; }
std::string_view dtype_name(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);  // "f32", "f16", "bf16"

// How the engine keeps a weight matrix. Integers are rounded from the checkpoint's floats as they are loaded, in groups
// of 32 along the input that share a bf16 scale: 8.5 and 4.5 bits a weight. Where a quantized checkpoint has integers
// that fit, these are kept, and only their scales are rounded.
enum class WeightType : uint8_t { f32, f16, bf16, int8, int4 };

std::string_view weight_type_name(WeightType type);
std::optional<WeightType> parse_weight_type(std::string_view name);  // "f32", "f16", "bf16", "int8", "int4"
WeightType weight_type(DType dtype);                                 // the same floats
constexpr bool is_integer(WeightType type) { return type == WeightType::int8 || type == WeightType::int4; }

struct TensorView {
    const std::byte* data = nullptr;  // row-major, contiguous; null = slot not filled
    DType dtype = DType::f32;
    std::vector<int64_t> shape;
    // A quantized matrix: `shape` is its own, `data` that of its values, and `dtype` means nothing.
    std::shared_ptr<const EncodedMatrix> encoded;
    // The view lies in a read-only mapping of a file: pages may be dropped once they are repacked.
    bool mapped = false;

    size_t nbytes() const;
    WeightType stored_type() const;  // the engine's type that comes closest
};

// The slots of the original API, and those of a mixture of experts. The first three exist once, those of experts once
// per layer and expert, the others once per layer. A layer has an MLP, or a router and experts.
enum class Slot : uint8_t {
    input_embd,
    output_norm,
    output_embd,
    attn_norm,
    attn_q_norm,
    attn_k_norm,
    attn_q_proj,
    attn_k_proj,
    attn_v_proj,
    attn_o_proj,
    ffn_norm,
    mlp_gate_proj,
    mlp_up_proj,
    mlp_down_proj,
    moe_router,
    expert_gate_proj,
    expert_up_proj,
    expert_down_proj,
};
constexpr size_t kGlobalSlots = 3;
constexpr size_t kExpertSlots = 3;  // the last ones
constexpr size_t kSlots = 18;

std::string_view slot_name(Slot slot);
std::optional<Slot> parse_slot(std::string_view name);
constexpr bool per_layer(Slot slot) { return static_cast<size_t>(slot) >= kGlobalSlots; }
constexpr bool per_expert(Slot slot) { return static_cast<size_t>(slot) >= kSlots - kExpertSlots; }
std::vector<int64_t> slot_shape(Slot slot, const Meta& meta);  // [out, in] or [n]

// Where a weight belongs. What does not apply to its slot is 0.
struct Place {
    Slot slot;
    int64_t layer = 0;
    int64_t expert = 0;
};
std::string place_name(const Place& place);  // as errors have it: slot[layer][expert]

// Calls fn(place) for every weight that the model computes with.
template <class Fn>
void for_each_place(const Meta& meta, Fn&& fn) {
    for (size_t i = 0; i < kSlots; ++i) {
        const auto slot = static_cast<Slot>(i);
        if (!per_layer(slot)) {
            if (slot != Slot::output_embd || !meta.tie_embd) fn(Place{slot});
            continue;
        }
        const bool dense_only = slot == Slot::mlp_gate_proj || slot == Slot::mlp_up_proj || slot == Slot::mlp_down_proj;
        const bool sparse_only = slot == Slot::moe_router || per_expert(slot);
        for (int64_t layer = 0; layer < meta.nlayer; ++layer) {
            if (meta.sparse(layer) ? dense_only : sparse_only) continue;
            for (int64_t expert = 0; expert < (per_expert(slot) ? meta.experts.count : 1); ++expert)
                fn(Place{slot, layer, expert});
        }
    }
}

class Weights {
public:
    explicit Weights(int64_t nlayer, int64_t experts = 0);

    // Throws CheckpointError when there is no such layer or expert.
    TensorView& at(const Place& place);
    const TensorView& at(const Place& place) const;
    TensorView& at(Slot slot, int64_t layer = 0, int64_t expert = 0) { return at(Place{slot, layer, expert}); }
    const TensorView& at(Slot slot, int64_t layer = 0, int64_t expert = 0) const {
        return at(Place{slot, layer, expert});
    }

    // Throws CheckpointError naming the first slot that is missing, wrongly shaped, or no part of the model.
    // output_embd must be empty when the head is tied; q / k norm weights are part of Qwen3 and must be there.
    void validate(const Meta& meta) const;

    // What weights = auto means: the type of the first layer's q_proj; or if any projection is quantized, the integers
    // that most weights of the layers come closest to.
    WeightType stored_type() const;
    // Whether projections are quantized: then weights = auto keeps each in the integers that it comes closest to.
    bool quantized() const;

private:
    size_t index(const Place& place) const;

    int64_t nlayer_, experts_;
    std::vector<TensorView> views_;  // those that exist once, then layer by layer
};

}  // namespace qwen3
