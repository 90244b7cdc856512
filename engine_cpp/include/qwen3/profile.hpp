// Where the time of a step went, measured by every device worker on itself.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace qwen3 {

enum class LayerVerb : uint8_t {
    norm_qkv,
    qk_norm_rope_append,
    attention,
    o_residual,
    norm_gate_up_silu,
    down_residual,
    all_reduce,
};
constexpr size_t kLayerVerbs = 7;
std::string_view verb_name(LayerVerb verb);

enum class StepVerb : uint8_t { begin_step, embed, norm_head, sample };
constexpr size_t kStepVerbs = 4;
std::string_view verb_name(StepVerb verb);

// What a device with kernels of its own did in a step; all 0 on a CPU.
struct DeviceCounts {
    int64_t launches = 0;     // kernels
    int64_t collectives = 0;  // sums over the devices
    int64_t bytes = 0;        // read and written in the device's memory, every operand of a kernel once
    bool replayed = false;    // as one captured graph
};

// The last step that was timed. A CPU times all, a GPU one decode step of many: stamps between its kernels cost time.
struct StepProfile {
    int64_t tokens = 0;                                    // rows of the ragged batch
    int64_t step_ns = 0;                                   // wall time, sampling included
    std::vector<std::array<int64_t, kLayerVerbs>> layers;  // ns; [devices * nlayer], device-major
    std::vector<std::array<int64_t, kStepVerbs>> others;   // ns; [devices]; sample on the first alone
    std::vector<DeviceCounts> counts;                      // [devices]
};

struct Profile {
    StepProfile last_prefill;   // the last step in which some request had more than one token
    StepProfile last_decode;    // the last step in which every request had one token
    int64_t prefill_steps = 0;  // since the engine started, or since the last reset
    int64_t prefill_tokens = 0;
    int64_t prefill_ns = 0;
    int64_t decode_steps = 0;
    int64_t decode_tokens = 0;
    int64_t decode_ns = 0;
    int64_t replayed_steps = 0;  // of decode: as captured graphs
    double probe_share = 0.0;    // the probe's own cost as a share of decoding, measured
};

}  // namespace qwen3
