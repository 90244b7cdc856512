// Twins of the instructions that gpu.h writes in PTX or takes from CUDA's own functions.
#pragma once

#include <bit>
#include <cmath>

#include "collectives.h"
#include "ops/cuda/types.hpp"

namespace emu {

// GCC's TSan sees typed accesses, and no memcpy that was inlined.
using Word [[gnu::may_alias]] = volatile uint64_t;
using HalfWord [[gnu::may_alias]] = const volatile uint32_t;

inline void copy_now(const AsyncCopy& copy) {
    auto* to = static_cast<Word*>(copy.to);
    const auto* from = static_cast<const Word*>(copy.from);
    to[0] = from ? from[0] : 0;
    to[1] = from ? from[1] : 0;
}

inline void ldmatrix(uint32_t (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("ldmatrix: a row is not on 16 bytes");
    const uint64_t* rows[32];
    {
        Quiet quiet;
        const auto* values = meet(~0U, transposed ? "ldmatrix.trans" : "ldmatrix", &row, sizeof row);
        for (int lane = 0; lane < 32; ++lane) rows[lane] = reinterpret_cast<const uint64_t*>(values[lane][0]);
    }
    const unsigned lane = this_lane();
    using Half [[gnu::may_alias]] = const volatile uint16_t;
    for (unsigned m = 0; m < 4; ++m) {
        if (!transposed) {
            r[m] = reinterpret_cast<HalfWord*>(rows[8 * m + lane / 4])[lane % 4];
            continue;
        }
        const uint32_t low = reinterpret_cast<Half*>(rows[8 * m + lane % 4 * 2])[lane / 4];
        const uint32_t high = reinterpret_cast<Half*>(rows[8 * m + lane % 4 * 2 + 1])[lane / 4];
        r[m] = low | high << 16;
    }
}

}  // namespace emu

namespace gpu {

using bf16 = qwen3::cuda::Bf16;

inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }

inline bf16 round_bf16(float x) {
    const uint32_t bits = bits_of(x);
    if (x != x) return {0x7fff};
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
inline uint32_t pack_bf16(float low, float high) {
    return round_bf16(low).bits | static_cast<uint32_t>(round_bf16(high).bits) << 16;
}

inline float fast_exp2(float x) { return std::exp2(x); }
inline float inverse_sqrt(float x) { return 1.0F / std::sqrt(x); }

// Of lane 4 g + t: a holds rows g and g + 8, columns 2t, 2t + 1 and the same + 8; b column g, rows 2t, 2t + 1 and the
// same + 8; d rows g and g + 8, columns 2t and 2t + 1.
inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    emu::Quiet quiet;
    struct {
        uint32_t a[4];
        uint32_t b[2];
    } mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
    const auto* values = emu::meet(~0U, "mma", &mine, sizeof mine);
    const unsigned g = emu::this_lane() / 4, t = emu::this_lane() % 4;
    auto unpack = [&](unsigned lane, unsigned word, float* to) {
        const auto bits = static_cast<uint32_t>(values[lane][word / 2] >> (word % 2 * 32));
        to[0] = float_of(bits << 16);
        to[1] = float_of(bits & 0xffff0000U);
    };
    float rows[2][16], columns[2][16];
    for (unsigned i = 0; i < 2; ++i)
        for (unsigned k = 0; k < 16; k += 2) {
            const unsigned quad = k % 8 / 2;
            unpack(g * 4 + quad, i + k / 8 * 2, &rows[i][k]);
            unpack((2 * t + i) * 4 + quad, 4 + k / 8, &columns[i][k]);
        }
    for (unsigned i = 0; i < 4; ++i)
        for (unsigned k = 0; k < 16; ++k) d[i] += rows[i / 2][k] * columns[i % 2][k];
}

inline void ldmatrix_x4(uint32_t (&r)[4], const void* row) { emu::ldmatrix(r, row, false); }
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) { emu::ldmatrix(r, row, true); }

// Poisons its target at once and delivers at the wait: a missing wait and a too early reuse read NaN.
inline void cp_async16(void* shared, const void* global, bool valid) {
    if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) % 16 != 0)
        emu::fail("cp.async: not on 16 bytes");
    auto* to = static_cast<emu::Word*>(shared);
    to[0] = ~uint64_t{0};
    to[1] = ~uint64_t{0};
    emu::Quiet quiet;
    emu::worker().current->uncommitted.push_back({shared, valid ? global : nullptr});
}
inline void cp_async_commit() {
    emu::Quiet quiet;
    emu::Fiber& self = *emu::worker().current;
    self.groups.push_back(std::exchange(self.uncommitted, {}));
}
template <int pending>
void cp_async_wait() {
    for (;;) {
        std::vector<emu::AsyncCopy> group;
        {
            emu::Quiet quiet;
            auto& groups = emu::worker().current->groups;
            if (groups.size() <= pending) return;
            group = std::move(groups.front());
            groups.erase(groups.begin());
        }
        for (const emu::AsyncCopy& copy : group) emu::copy_now(copy);
    }
}

// nullptr, or what is wrong with the launch. Returns when the grid has run; the stream is ignored.
template <class... Parameters>
const char* launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t dynamic_smem, void* /*stream*/,
                   std::type_identity_t<Parameters>... arguments) {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...));
    auto call = [&] { kernel(arguments...); };
    return emu::run_grid(grid, block, dynamic_smem, [](void* body) { (*static_cast<decltype(call)*>(body))(); }, &call);
}

}  // namespace gpu
