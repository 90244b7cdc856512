// Which part of every weight a device holds. One declarative table of ranges; nothing else knows how weights are cut.
#pragma once

#include <array>
#include <cstdint>

#include "ops/shapes.hpp"
#include "qwen3/weights.hpp"

namespace qwen3 {

// The units in which a Qwen3 is cut.
enum class Unit : uint8_t {
    whole,       // replicated
    query_head,  // dh rows or columns
    kv_head,     // every KV head that the device's query heads use; replicated where two devices share one
    mlp,         // whole quantization groups of down_proj
    expert,      // the same within every expert
    vocab,       // whole panels of 16 rows
};

enum class Axis : uint8_t { none, rows, columns };
enum class Join : uint8_t { none, all_reduce, shared_logits };

struct ShardRule {
    Slot slot;
    Axis axis;
    Unit unit;
    Join join;
};

constexpr int64_t kMlpGranule = 32;
constexpr int64_t kVocabGranule = 16;

constexpr std::array<ShardRule, kSlots> kShardingTable = {{
    {Slot::input_embd, Axis::rows, Unit::vocab, Join::all_reduce},
    {Slot::output_norm, Axis::none, Unit::whole, Join::none},
    {Slot::output_embd, Axis::rows, Unit::vocab, Join::shared_logits},
    {Slot::attn_norm, Axis::none, Unit::whole, Join::none},
    {Slot::attn_q_norm, Axis::none, Unit::whole, Join::none},
    {Slot::attn_k_norm, Axis::none, Unit::whole, Join::none},
    {Slot::attn_q_proj, Axis::rows, Unit::query_head, Join::none},
    {Slot::attn_k_proj, Axis::rows, Unit::kv_head, Join::none},
    {Slot::attn_v_proj, Axis::rows, Unit::kv_head, Join::none},
    {Slot::attn_o_proj, Axis::columns, Unit::query_head, Join::all_reduce},
    {Slot::ffn_norm, Axis::none, Unit::whole, Join::none},
    {Slot::mlp_gate_proj, Axis::rows, Unit::mlp, Join::none},
    {Slot::mlp_up_proj, Axis::rows, Unit::mlp, Join::none},
    {Slot::mlp_down_proj, Axis::columns, Unit::mlp, Join::all_reduce},
    {Slot::moe_router, Axis::none, Unit::whole, Join::none},
    {Slot::expert_gate_proj, Axis::rows, Unit::expert, Join::none},
    {Slot::expert_up_proj, Axis::rows, Unit::expert, Join::none},
    {Slot::expert_down_proj, Axis::columns, Unit::expert, Join::all_reduce},
}};

// Throws ConfigError when there are more devices than query heads.
Shard shard_of(const Meta& meta, int64_t rank, int64_t size);

Slice slice_of(Slot slot, const Meta& meta, const Shard& shard);

}  // namespace qwen3
