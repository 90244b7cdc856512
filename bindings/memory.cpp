#include "bindings.hpp"

namespace qwen3::python {

void bind_memory(nb::module_& module) {
    nb::class_<Memory>(module, "Memory")
        .def_ro("weights", &Memory::weights)
        .def_ro("weights_per_step", &Memory::weights_per_step)
        .def_ro("activations", &Memory::activations)
        .def_ro("kv_used", &Memory::kv_used)
        .def_ro("kv_budget", &Memory::kv_budget)
        .def_ro("kv_pages_used", &Memory::kv_pages_used)
        .def_ro("kv_pages_total", &Memory::kv_pages_total)
        .def_ro("kv_bytes_per_token", &Memory::kv_bytes_per_token);
}

}  // namespace qwen3::python
