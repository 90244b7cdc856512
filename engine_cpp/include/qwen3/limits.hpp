// What this machine can do at most, measured: the yardsticks that speeds are quoted against.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace qwen3 {

struct MachineLimits {
    double read_bytes_per_s = 0.0;  // streaming reads of memory that no cache holds, all threads together
    double fp32_flop_per_s = 0.0;   // fused multiply-adds on registers, all threads together; one counts as two
    double int8_op_per_s = 0.0;     // the same for products of int8 summed in int32
};

// Takes about half a second and reserves `bytes` for a moment. Throws OutOfMemory.
MachineLimits measure_limits(int threads, int64_t bytes = int64_t{512} << 20);

// Bytes a second of streaming reads alone, for whoever must not be in the way: asks `go_on` before every piece of work,
// which takes some hundredths of a second, and measures nothing once it says no. Throws OutOfMemory.
std::optional<double> measure_reads(int threads, const std::function<bool()>& go_on,
                                    int64_t bytes = int64_t{256} << 20);

}  // namespace qwen3
