// KV pages on the device with values on the host, for both types.
#pragma once

#include "ragged_batch.hpp"

namespace qwen3::cuda::test {

// Local shapes of a device; `group` and `first_in_group` as in Heads.
inline Heads heads_of(int32_t query_heads, int32_t kv_heads, int32_t head_dim, int32_t group,
                      int32_t first_in_group = 0) {
    return {query_heads, kv_heads, group, first_in_group, head_dim};
}
// A whole model: query_heads = kv_heads * group.
inline Heads whole_heads(int32_t kv_heads, int32_t group, int32_t head_dim) {
    return heads_of(kv_heads * group, kv_heads, head_dim, group);
}

class PagePool {
public:
    // All values NaN.
    PagePool(int64_t pages, int64_t layers, const Heads& heads, KvType type)
        : layout_{nullptr, layers, heads.kv_heads, heads.head_dim, type},
          bytes_(static_cast<size_t>(pages * layout_.page_bytes()), std::byte{0xff}),
          device_(bytes_) {
        layout_.data = device_.data();
    }

    const KvPages& layout() const { return layout_; }

    size_t offset(int32_t page, int64_t layer, int64_t head, bool is_v, int32_t position, int64_t dim) const {
        const int64_t block = ((page * layout_.layers + layer) * layout_.kv_heads + head) * 2 + (is_v ? 1 : 0);
        const int64_t value = position % kPageTokens * layout_.head_dim + dim;
        return static_cast<size_t>(block * layout_.block_bytes() + value * layout_.value_bytes());
    }
    // On the host; send() brings them to the device and fetch() back.
    void set(size_t offset, float value) {
        if (layout_.type == KvType::f32) {
            std::memcpy(&bytes_[offset], &value, sizeof value);
        } else {
            const Bf16 rounded = round_bf16(value);
            std::memcpy(&bytes_[offset], &rounded, sizeof rounded);
        }
    }
    float at(size_t offset) const {
        float value;
        Bf16 rounded;
        if (layout_.type == KvType::f32) {
            std::memcpy(&value, &bytes_[offset], sizeof value);
            return value;
        }
        std::memcpy(&rounded, &bytes_[offset], sizeof rounded);
        return widen(rounded);
    }
    void send() { device_.write(bytes_); }
    void fetch() { bytes_ = device_.read(); }
    const std::vector<std::byte>& bytes() const { return bytes_; }
    std::vector<std::byte>& bytes() { return bytes_; }

    // Gives every sequence of the batch random K and V in a layer.
    void fill(const RaggedBatch& batch, const Heads& heads, int64_t layer, unsigned seed) {
        Noise noise(seed);
        const int32_t dh = heads.head_dim;
        for (size_t s = 0; s < batch.requests().size(); ++s)
            for (int32_t position = 0; position < batch.requests()[s].context(); ++position)
                for (int32_t h = 0; h < heads.kv_heads; ++h)
                    for (const bool is_v : {false, true}) {
                        const std::vector<float> values = noise.floats(static_cast<size_t>(dh));
                        for (int32_t i = 0; i < dh; ++i)
                            set(offset(batch.page(s, position), layer, h, is_v, position, i),
                                values[static_cast<size_t>(i)]);
                    }
        send();
    }

private:
    KvPages layout_;
    std::vector<std::byte> bytes_;
    DeviceArray<std::byte> device_;
};

}  // namespace qwen3::cuda::test
