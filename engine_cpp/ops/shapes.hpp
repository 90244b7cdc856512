// What one device of a group holds of the model.
#pragma once

#include <cstdint>

#include "qwen3/meta.hpp"
#include "qwen3/range.hpp"
#include "qwen3/weights.hpp"

namespace qwen3 {

struct Shard {
    int64_t rank = 0;
    int64_t size = 1;
    Range query_heads;
    Range kv_heads;  // every KV head that the query heads use
    Range mlp;       // intermediate neurons of an MLP
    Range experts;   // intermediate neurons of every expert
    Range vocab;     // rows of the embedding and of the head
};

// The rectangle of a weight that a shard holds; a vector is one row.
struct Slice {
    Range rows;
    Range columns;
};

struct DeviceShape {
    Meta meta;
    Shard shard;
    WeightType weights = WeightType::f32;
    DType kv = DType::f32;
    bool as_stored = false;  // each quantized matrix in the integers it comes closest to; `weights` is the usual one
};

}  // namespace qwen3
