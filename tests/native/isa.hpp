// The instruction sets of this machine, one after the other.
#pragma once

#include <cstdlib>

#include "check.hpp"
#include "ops/cpu/kernels/kernels.hpp"
#include "qwen3/error.hpp"

namespace qwen3::test {

// body(kernels) with QWEN3_ISA naming each instruction set that this machine and build can run.
template <class Body>
void for_each_isa(Body&& body) {
    int ran = 0;
    for (const char* isa : {"portable", "avx2", "avx512"}) {
        setenv("QWEN3_ISA", isa, 1);
        const cpu::Kernels* kernels = nullptr;
        try {
            kernels = &cpu::select_kernels();
        } catch (const ConfigError&) {
            continue;
        }
        body(*kernels);
        ++ran;
    }
    unsetenv("QWEN3_ISA");
    CHECK(ran >= 1);
}

}  // namespace qwen3::test
