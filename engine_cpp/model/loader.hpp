// From the caller's host views to a device's repacked shard, one weight at a time: no second copy of the model exists.
#pragma once

#include <functional>

#include "model/transformer.hpp"

namespace qwen3 {

// Called with the bytes of each source slice once it is repacked; may throw to stop the load.
using LoadedFn = std::function<void(size_t bytes)>;

// Bytes that load_shard will report in all.
size_t shard_source_bytes(const Meta& meta, const Weights& weights, const Shard& shard);

DeviceWeights load_shard(Ops& ops, const DeviceShape& shape, const Weights& weights, const LoadedFn& loaded);

}  // namespace qwen3
