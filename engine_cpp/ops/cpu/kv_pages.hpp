// A CPU device's part of the KV pages: [page][layer][kv head] blocks of K and V, reserved at once, committed as used.
#pragma once

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/memory.hpp"
#include "ops/ops.hpp"

namespace qwen3::cpu {

class CpuKvPages final : public KvPages {
public:
    CpuKvPages(const DeviceShape& shape, int64_t pages)
        : heads_(shape.shard.kv_heads.size()),
          k_bytes_(k_block_bytes(shape)),
          v_bytes_(v_block_bytes(shape)),
          page_bytes_(bytes_of_page(shape)),
          block_(static_cast<size_t>(pages) * page_bytes_, "the KV cache") {}

    static size_t bytes_of_page(const DeviceShape& shape) {
        return static_cast<size_t>(shape.meta.nlayer * shape.shard.kv_heads.size()) *
               (k_block_bytes(shape) + v_block_bytes(shape));
    }

    size_t page_bytes() const override { return page_bytes_; }

    std::byte* page(int32_t page) const { return block_.data() + static_cast<size_t>(page) * page_bytes_; }
    std::byte* k(int32_t page, int64_t layer, int64_t head) const {
        return this->page(page) + static_cast<size_t>(layer * heads_ + head) * (k_bytes_ + v_bytes_);
    }
    std::byte* v(int32_t page, int64_t layer, int64_t head) const { return k(page, layer, head) + k_bytes_; }
    int64_t head_bytes() const { return static_cast<int64_t>(k_bytes_ + v_bytes_); }  // from a head's K to the next's
    int64_t v_offset() const { return static_cast<int64_t>(k_bytes_); }               // from a head's K to its V

private:
    static size_t k_block_bytes(const DeviceShape& shape) {
        return static_cast<size_t>(kPageTokens * shape.meta.dh) * size_of(shape.kv);
    }
    static size_t v_block_bytes(const DeviceShape& shape) {
        return static_cast<size_t>(kPageTokens * round_up(shape.meta.dh, kPanel)) * size_of(shape.kv);
    }

    int64_t heads_;
    size_t k_bytes_, v_bytes_, page_bytes_;
    Block block_;
};

}  // namespace qwen3::cpu
