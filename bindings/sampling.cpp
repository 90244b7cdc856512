#include "qwen3/sampling.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"

namespace qwen3::python {

void bind_sampling(nb::module_& module) {
    nb::class_<SamplingParams>(module, "SamplingParams")
        .def(
            "__init__",
            [](SamplingParams* self, float temperature, int32_t top_k, float top_p, float min_p, float presence_penalty,
               float repetition_penalty, uint64_t seed, std::optional<int64_t> max_new_tokens,
               std::optional<std::vector<int32_t>> stop_ids, std::optional<int32_t> vocab_limit, int32_t top_logprobs) {
                SamplingParams params{temperature,
                                      top_k,
                                      top_p,
                                      min_p,
                                      presence_penalty,
                                      repetition_penalty,
                                      seed,
                                      max_new_tokens,
                                      std::move(stop_ids),
                                      vocab_limit,
                                      top_logprobs};
                params.validate();
                new (self) SamplingParams(std::move(params));
            },
            nb::kw_only(), nb::arg("temperature"), nb::arg("top_k"), nb::arg("top_p"), nb::arg("min_p"),
            nb::arg("presence_penalty"), nb::arg("repetition_penalty"), nb::arg("seed"),
            nb::arg("max_new_tokens").none(), nb::arg("stop_ids").none(), nb::arg("vocab_limit").none(),
            nb::arg("top_logprobs"));
}

}  // namespace qwen3::python
