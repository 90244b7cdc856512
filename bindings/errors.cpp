// Every C++ error becomes the class of the same name in qwen3_chat.engine.errors.
#include <new>

#include "bindings.hpp"
#include "qwen3/error.hpp"

namespace qwen3::python {
namespace {

void raise(const char* name, const char* what) {
    const nb::object type = nb::module_::import_("qwen3_chat.engine.errors").attr(name);
    PyErr_SetString(type.ptr(), what);
}

void translate(const std::exception_ptr& error, void* /*payload*/) {
    try {
        std::rethrow_exception(error);
    } catch (const ConfigError& e) {
        raise("ConfigError", e.what());
    } catch (const CheckpointError& e) {
        raise("CheckpointError", e.what());
    } catch (const DeviceError& e) {
        raise("DeviceError", e.what());
    } catch (const OutOfMemory& e) {
        raise("OutOfMemory", e.what());
    } catch (const ContextOverflow& e) {
        raise("ContextOverflow", e.what());
    } catch (const Cancelled& e) {
        raise("Cancelled", e.what());
    } catch (const Error& e) {
        raise("EngineError", e.what());
    } catch (const std::bad_alloc&) {
        raise("OutOfMemory", "this machine has no memory left for the request: make it smaller");
    }
}

}  // namespace

void bind_errors() { nb::register_exception_translator(translate); }

}  // namespace qwen3::python
