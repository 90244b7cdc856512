// A library that is found when it is needed: installed beside this package, or by the system.
#pragma once

#include <string>
#include <vector>

namespace qwen3::cuda {

class DynamicLibrary {
public:
    // wheel_folder: where the package of PyPI puts it, below site-packages. Throws PluginError, naming the remedy.
    DynamicLibrary(const char* what, const char* soname, const char* wheel_folder);

    // Throws PluginError when the library has no such function.
    template <class Function>
    void find(Function*& function, const char* name) const {
        function = reinterpret_cast<Function*>(symbol(name));
    }

private:
    void* symbol(const char* name) const;

    const char* soname_;
    void* handle_ = nullptr;  // never closed: libraries of CUDA have threads of their own
};

// What is said of a library that is not there. tried: each place with what the loader said.
[[noreturn]] void throw_missing_library(const char* what, const char* soname, const std::string& tried);

}  // namespace qwen3::cuda
