// Changing from one stack to another: the callee-saved registers, nothing else. A switch takes a few nanoseconds on
// x86-64; elsewhere ucontext does it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sanitizers.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emu {

#if defined(__x86_64__)

using Context = void*;  // a stack pointer, below it the saved registers

extern "C" void emu_switch(void** save, void* load);
asm(R"(
.pushsection .text
.weak emu_switch
.hidden emu_switch
.type emu_switch,@function
emu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch,.-emu_switch
.popsection
)");

inline void make_context(Context& context, char* stack, size_t size, void (*entry)()) {
    auto** top = reinterpret_cast<void**>(stack + size);
    *--top = nullptr;  // the entry never returns; keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    context = top;
}

EMU_UNSEEN inline void switch_context(Context& save, Context& load) { emu_switch(&save, load); }

#else

using Context = ucontext_t;

inline void make_context(Context& context, char* stack, size_t size, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = size;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
}

EMU_UNSEEN inline void switch_context(Context& save, Context& load) { swapcontext(&save, &load); }

#endif

}  // namespace emu
