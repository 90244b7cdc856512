// What host and kernels share: a step's batch as it lies on the device, the layout of the KV pages, the heads of a
// shard. Plain structs, passed to kernels by value; no CUDA header needed.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define QWEN3_HOST_DEVICE __host__ __device__
#else
#define QWEN3_HOST_DEVICE
#endif

namespace qwen3::cuda {

constexpr int kPageTokens = 64;  // tokens in a KV page

// Storage of a bfloat16: the upper half of an f32.
struct alignas(2) Bf16 {
    uint16_t bits;
};

// One request's rows of the ragged batch. Its pages are pages[first_page ...] of the flattened page table.
struct DeviceSequence {
    int32_t first_row;
    int32_t rows;
    int32_t first_position;
    int32_t first_page;
};

// Copy-on-write: page `from` is copied to page `to` before anything reads `to`.
struct DevicePageCopy {
    int32_t from;
    int32_t to;
};

struct BatchCounts {
    int32_t rows;
    int32_t sequences;
    int32_t logit_rows;
    int32_t copies;
};

// Everything that differs between two steps of one bucket, all of it device memory at fixed addresses: a captured graph
// replays for any batch of its bucket once these arrays are overwritten. Kernels take every count from *counts.
struct DeviceBatch {
    const BatchCounts* counts;
    const int32_t* tokens;            // [rows]
    const int32_t* positions;         // [rows]
    const int32_t* row_sequence;      // [rows] -> index into sequences
    const DeviceSequence* sequences;  // [sequences], in the order of their rows
    const int32_t* pages;             // page tables of all sequences, one after the other
    const int32_t* logit_rows;        // [logit_rows] -> row
    const DevicePageCopy* copies;     // [copies]
    const float* cos;                 // [rows, dh / 2]
    const float* sin;                 // [rows, dh / 2]
};

enum class KvType : uint8_t { bf16, f32 };

// A device's part of the KV pages, one allocation:
//   [page][layer][local KV head][K, V][64 tokens][dh]
// Every block of 64 * dh values begins on a multiple of 128 bytes.
struct KvPages {
    std::byte* data;
    int64_t layers;
    int64_t kv_heads;  // local
    int64_t head_dim;
    KvType type;

    QWEN3_HOST_DEVICE constexpr int64_t value_bytes() const { return type == KvType::f32 ? 4 : 2; }
    QWEN3_HOST_DEVICE constexpr int64_t block_bytes() const {
        return kPageTokens * head_dim * value_bytes();
    }  // K or V of one head
    QWEN3_HOST_DEVICE constexpr int64_t page_bytes() const { return layers * kv_heads * 2 * block_bytes(); }
};

// The heads of a shard. Query head h (local) uses KV head (h + first_in_group) / group (local): a shard may begin
// in the middle of a group.
struct Heads {
    int32_t query_heads;     // local
    int32_t kv_heads;        // local
    int32_t group;           // query heads per KV head of the whole model
    int32_t first_in_group;  // first query head of the shard - group * first KV head of the shard
    int32_t head_dim;        // even, at most kMaxHeadDim
};

constexpr int kMaxHeadDim = 256;

}  // namespace qwen3::cuda
