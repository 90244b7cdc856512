#include "qwen3/limits.hpp"

#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>

#include "bindings.hpp"

namespace qwen3::python {

void bind_limits(nb::module_& module) {
    nb::class_<MachineLimits>(module, "MachineLimits",
                              "What this machine can do at most, measured, all threads together.")
        .def_ro("read_bytes_per_s", &MachineLimits::read_bytes_per_s, "Streaming reads that no cache serves.")
        .def_ro("int8_op_per_s", &MachineLimits::int8_op_per_s,
                "Products of int8 summed in int32, all threads together; one counts as two.")
        .def_ro("fp32_flop_per_s", &MachineLimits::fp32_flop_per_s,
                "Fused multiply-adds on registers; one counts as two.");
    module.def("measure_limits", &measure_limits, nb::arg("threads"), nb::arg("bytes") = int64_t{512} << 20,
               nb::call_guard<nb::gil_scoped_release>(), "Takes about half a second. Raises OutOfMemory.");
    module.def(
        "measure_reads", [](int threads, const std::function<bool()>& go_on) { return measure_reads(threads, go_on); },
        nb::arg("threads"), nb::arg("go_on"), nb::call_guard<nb::gil_scoped_release>(),
        "None once go_on() has said no. Raises OutOfMemory.");
}

}  // namespace qwen3::python
