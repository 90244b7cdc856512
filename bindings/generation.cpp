#include "qwen3/generation.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <chrono>
#include <limits>
#include <optional>
#include <vector>

#include "bindings.hpp"

namespace qwen3::python {
namespace {

// In the order of the fields of qwen3_chat.engine.Token.
nb::tuple token(const TokenEvent& event) {
    nb::list top;
    for (int32_t i = 0; i < event.top_count; ++i)
        top.append(nb::make_tuple(event.top[static_cast<size_t>(i)].id, event.top[static_cast<size_t>(i)].logprob));
    return nb::make_tuple(event.id, event.logprob, nb::tuple(top), event.ns, event.index, event.stop);
}

nb::list drain(HeldGeneration& self, size_t max) {
    std::vector<TokenEvent> events;
    self->drain(events, max);
    nb::list tokens;
    for (const TokenEvent& event : events) tokens.append(token(event));
    return tokens;
}

bool wait(HeldGeneration& self, double seconds) {
    nb::gil_scoped_release release;
    return self->wait(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds)));
}

nb::object finish_reason(const HeldGeneration& self) {
    const FinishReason reason = self->finish_reason();
    return reason == FinishReason::none ? nb::none() : nb::cast(finish_reason_name(reason));
}

}  // namespace

void bind_generation(nb::module_& module) {
    nb::class_<GenerationStats>(module, "GenerationStats")
        .def_ro("prompt_tokens", &GenerationStats::prompt_tokens)
        .def_ro("reused_tokens", &GenerationStats::reused_tokens)
        .def_ro("prefill_tokens", &GenerationStats::prefill_tokens)
        .def_ro("new_tokens", &GenerationStats::new_tokens)
        .def_ro("first_token_ns", &GenerationStats::first_token_ns)
        .def_ro("prefill_ns", &GenerationStats::prefill_ns)
        .def_ro("decode_ns", &GenerationStats::decode_ns);

    nb::class_<HeldGeneration>(module, "Generation")
        .def("drain", &drain, nb::arg("max") = std::numeric_limits<size_t>::max())
        .def("wait", &wait, nb::arg("seconds"))
        .def("cancel", [](HeldGeneration& self) { self->cancel(); })
        .def(
            "update", [](HeldGeneration& self, const SamplingParams& sampling) { self->update(sampling); },
            nb::arg("sampling"))
        .def(
            "force",
            [](HeldGeneration& self, const Ids& ids, std::optional<int32_t> unless) { self->force(view(ids), unless); },
            nb::arg("ids"), nb::arg("unless") = nb::none())
        .def("done", [](const HeldGeneration& self) { return self->done(); })
        .def("finish_reason", &finish_reason)
        .def("rethrow_error", [](const HeldGeneration& self) { self->rethrow_error(); })
        .def("stats", [](const HeldGeneration& self) { return self->stats(); });
}

}  // namespace qwen3::python
