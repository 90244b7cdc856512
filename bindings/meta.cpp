#include "qwen3/meta.hpp"

#include <nanobind/stl/vector.h>

#include "bindings.hpp"

namespace qwen3::python {

void bind_meta(nb::module_& module) {
    nb::class_<YarnScaling>(module, "YarnScaling")
        .def(
            "__init__",
            [](YarnScaling* self, float factor, int64_t original_dctx, float beta_fast, float beta_slow,
               float attention_factor) {
                new (self) YarnScaling{factor, original_dctx, beta_fast, beta_slow, attention_factor};
            },
            nb::kw_only(), nb::arg("factor"), nb::arg("original_dctx"), nb::arg("beta_fast"), nb::arg("beta_slow"),
            nb::arg("attention_factor"));
    nb::class_<Experts>(module, "Experts")
        .def(
            "__init__",
            [](Experts* self, int64_t count, int64_t per_token, int64_t di, bool normalised,
               std::vector<int64_t> dense_layers) {
                new (self) Experts{count, per_token, di, normalised, std::move(dense_layers)};
            },
            nb::kw_only(), nb::arg("count"), nb::arg("per_token"), nb::arg("di"), nb::arg("normalised"),
            nb::arg("dense_layers"));
    nb::class_<Meta>(module, "Meta")
        .def(
            "__init__",
            [](Meta* self, int64_t nlayer, int64_t d, int64_t nh, int64_t nkvh, int64_t dh, int64_t di, int64_t dctx,
               int64_t dvoc, float epsilon, float theta, std::vector<int32_t> end_tokens, bool tie_embd,
               const YarnScaling& yarn, const Experts& experts) {
                new (self) Meta{nlayer,   d,    nh,     nkvh, dh, di, dctx, dvoc, epsilon, theta, std::move(end_tokens),
                                tie_embd, yarn, experts};
            },
            nb::kw_only(), nb::arg("nlayer"), nb::arg("d"), nb::arg("nh"), nb::arg("nkvh"), nb::arg("dh"),
            nb::arg("di"), nb::arg("dctx"), nb::arg("dvoc"), nb::arg("epsilon"), nb::arg("theta"),
            nb::arg("end_tokens"), nb::arg("tie_embd"), nb::arg("yarn"), nb::arg("experts"))
        .def("validate", &Meta::validate);
}

}  // namespace qwen3::python
