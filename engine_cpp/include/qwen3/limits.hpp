// What this machine can do at most, measured: the yardsticks that speeds are quoted against.
#pragma once

#include <cstdint>

namespace qwen3 {

struct MachineLimits {
    double read_bytes_per_s = 0.0;  // streaming reads of memory that no cache holds, all threads together
    double fp32_flop_per_s = 0.0;   // fused multiply-adds on registers, all threads together; one counts as two
    double int8_op_per_s = 0.0;     // the same for products of int8 summed in int32
};

// Takes about half a second and reserves `bytes` for a moment. Throws OutOfMemory.
MachineLimits measure_limits(int threads, int64_t bytes = int64_t{512} << 20);

}  // namespace qwen3
