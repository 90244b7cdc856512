#include "qwen3/weights.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "qwen3/error.hpp"

namespace qwen3 {
namespace {

constexpr std::array<std::string_view, kSlots> kSlotNames = {
    "input_embd",  "output_norm",   "output_embd", "attn_norm",        "attn_q_norm",    "attn_k_norm",
    "attn_q_proj", "attn_k_proj",   "attn_v_proj", "attn_o_proj",      "ffn_norm",       "mlp_gate_proj",
    "mlp_up_proj", "mlp_down_proj", "moe_router",  "expert_gate_proj", "expert_up_proj", "expert_down_proj",
};

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

void check(const TensorView& view, const Place& place, const Meta& meta) {
    const std::vector<int64_t> expected = slot_shape(place.slot, meta);
    if (!view.data)
        throw CheckpointError("weight " + place_name(place) + " is missing; expected " + shape_text(expected));
    if (view.shape != expected)
        throw CheckpointError("weight " + place_name(place) + " has shape " + shape_text(view.shape) + "; expected " +
                              shape_text(expected));
    if (view.encoded) view.encoded->validate(expected, "weight " + place_name(place));
}

}  // namespace

std::string_view dtype_name(DType dtype) {
    switch (dtype) {
        case DType::f32: return "f32";
        case DType::f16: return "f16";
        case DType::bf16: return "bf16";
    }
    return "?";
}

std::optional<DType> parse_dtype(std::string_view name) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        if (dtype_name(dtype) == name) return dtype;
    return std::nullopt;
}

std::string_view weight_type_name(WeightType type) {
    switch (type) {
        case WeightType::f32: return "f32";
        case WeightType::f16: return "f16";
        case WeightType::bf16: return "bf16";
        case WeightType::int8: return "int8";
        case WeightType::int4: return "int4";
    }
    return "?";
}

std::optional<WeightType> parse_weight_type(std::string_view name) {
    using enum WeightType;
    for (WeightType type : {f32, f16, bf16, int8, int4})
        if (weight_type_name(type) == name) return type;
    return std::nullopt;
}

WeightType weight_type(DType dtype) {
    switch (dtype) {
        case DType::f32: return WeightType::f32;
        case DType::f16: return WeightType::f16;
        case DType::bf16: return WeightType::bf16;
    }
    return WeightType::f32;
}

size_t TensorView::nbytes() const {
    if (encoded) return encoded->nbytes();
    size_t count = size_of(dtype);
    for (int64_t n : shape) count *= static_cast<size_t>(n);
    return count;
}

WeightType TensorView::stored_type() const {
    if (!encoded) return weight_type(dtype);
    switch (encoded->encoding) {
        case Encoding::q4_0:
        case Encoding::q4_k: return WeightType::int4;
        case Encoding::packed:
        case Encoding::gptq:
        case Encoding::awq: return encoded->bits <= 4 ? WeightType::int4 : WeightType::int8;
        case Encoding::fp8:
        case Encoding::int8:
        case Encoding::q8_0:
        case Encoding::q5_k:
        case Encoding::q6_k: return WeightType::int8;
    }
    return WeightType::int8;
}

std::string_view slot_name(Slot slot) { return kSlotNames[static_cast<size_t>(slot)]; }

std::optional<Slot> parse_slot(std::string_view name) {
    for (size_t i = 0; i < kSlots; ++i)
        if (kSlotNames[i] == name) return static_cast<Slot>(i);
    return std::nullopt;
}

std::vector<int64_t> slot_shape(Slot slot, const Meta& m) {
    switch (slot) {
        case Slot::input_embd:
        case Slot::output_embd: return {m.dvoc, m.d};
        case Slot::output_norm:
        case Slot::attn_norm:
        case Slot::ffn_norm: return {m.d};
        case Slot::attn_q_norm:
        case Slot::attn_k_norm: return {m.dh};
        case Slot::attn_q_proj: return {m.nh * m.dh, m.d};
        case Slot::attn_k_proj:
        case Slot::attn_v_proj: return {m.nkvh * m.dh, m.d};
        case Slot::attn_o_proj: return {m.d, m.nh * m.dh};
        case Slot::mlp_gate_proj:
        case Slot::mlp_up_proj: return {m.di, m.d};
        case Slot::mlp_down_proj: return {m.d, m.di};
        case Slot::moe_router: return {m.experts.count, m.d};
        case Slot::expert_gate_proj:
        case Slot::expert_up_proj: return {m.experts.di, m.d};
        case Slot::expert_down_proj: return {m.d, m.experts.di};
    }
    return {};
}

std::string place_name(const Place& place) {
    std::string name(slot_name(place.slot));
    if (per_layer(place.slot)) name += "[" + std::to_string(place.layer) + "]";
    if (per_expert(place.slot)) name += "[" + std::to_string(place.expert) + "]";
    return name;
}

Weights::Weights(int64_t nlayer, int64_t experts) : nlayer_(nlayer), experts_(experts) {
    const size_t of_a_layer = kSlots - kGlobalSlots - kExpertSlots + kExpertSlots * static_cast<size_t>(experts);
    views_.resize(kGlobalSlots + static_cast<size_t>(nlayer) * of_a_layer);
}

size_t Weights::index(const Place& place) const {
    constexpr size_t kLayerSlots = kSlots - kGlobalSlots - kExpertSlots;
    const auto slot = static_cast<size_t>(place.slot);
    if (!per_layer(place.slot)) return slot;
    if (place.layer < 0 || place.layer >= nlayer_)
        throw CheckpointError("weight " + place_name(place) + " names a layer outside the model's " +
                              std::to_string(nlayer_));
    const auto experts = static_cast<size_t>(experts_);
    const size_t layer = kGlobalSlots + static_cast<size_t>(place.layer) * (kLayerSlots + kExpertSlots * experts);
    if (!per_expert(place.slot)) return layer + slot - kGlobalSlots;
    if (place.expert < 0 || place.expert >= experts_)
        throw CheckpointError("weight " + place_name(place) + " names an expert outside the layer's " +
                              std::to_string(experts_));
    return layer + kLayerSlots + (slot - kGlobalSlots - kLayerSlots) * experts + static_cast<size_t>(place.expert);
}

TensorView& Weights::at(const Place& place) { return views_[index(place)]; }
const TensorView& Weights::at(const Place& place) const { return views_[index(place)]; }

void Weights::validate(const Meta& meta) const {
    if (nlayer_ != meta.nlayer)
        throw CheckpointError("the weights have " + std::to_string(nlayer_) + " layers; meta.nlayer is " +
                              std::to_string(meta.nlayer));
    if (experts_ != meta.experts.count)
        throw CheckpointError("the weights have " + std::to_string(experts_) + " experts; meta.experts.count is " +
                              std::to_string(meta.experts.count));
    if (meta.tie_embd && at(Slot::output_embd).data)
        throw CheckpointError("weight output_embd is given although meta.tie_embd says that it is input_embd");
    for_each_place(meta, [&](const Place& place) { check(at(place), place, meta); });
}

WeightType Weights::stored_type() const {
    if (!quantized()) return at(Slot::attn_q_proj, 0).stored_type();
    int64_t four = 0, all = 0;  // weights
    for (size_t i = kGlobalSlots; i < views_.size(); ++i) {
        const TensorView& view = views_[i];
        if (view.shape.size() != 2) continue;
        const int64_t count = view.shape[0] * view.shape[1];
        all += count;
        if (view.stored_type() == WeightType::int4) four += count;
    }
    return 2 * four > all ? WeightType::int4 : WeightType::int8;
}

bool Weights::quantized() const {
    return std::any_of(views_.begin() + kGlobalSlots, views_.end(),
                       [](const TensorView& view) { return view.encoded != nullptr; });
}

}  // namespace qwen3
