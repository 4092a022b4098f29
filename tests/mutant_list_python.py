"""The mistakes that `mutants.py` puts into the bindings and the package, one at a time."""

from typing import Final, NamedTuple


class PythonMutant(NamedTuple):
    """One small change of a file; `old` stands there exactly once. `tests`: a file, and what ``-k`` selects of it."""

    file: str
    old: str
    new: str
    breaks: str
    tests: str


PYTHON_MUTANTS: Final = (
    # one change, in steps
    PythonMutant(
        "csrc/bindings/shell.cpp",
        "    admission.ask_quota = admission.ask_quota && (mask & rules.levelled) != 0;\n",
        "",
        "the hook is asked about what is renewed",
        "test_hooks",
    ),
    PythonMutant(
        "csrc/bindings/shell.cpp",
        "    if (!keep(admission, clause, session)) return 0;\n    return carry_out",
        "    return carry_out",
        "what has ended while the hook was asked",
        "test_hold_hooks",
    ),
    PythonMutant(
        "csrc/bindings/on_record.cpp",
        "    if (!staged.is_answered() && !waits) return admission.command.mask;\n",
        "",
        "whoever is called by the log does not wait",
        "test_log_failures finaliser",
    ),
    PythonMutant(
        "csrc/bindings/claims.hpp",
        " && place->second.coming == 0;",
        ";",
        "who is about to hold keeps the grant",
        "test_hold_log",
    ),
    PythonMutant(
        "csrc/bindings/lease.cpp",
        "        if (state_ == State::beginning) end(false);\n        throw;\n    } catch (const std::exception&) {",
        "        throw;\n    } catch (const std::exception&) {",
        "a begin that was refused has ended",
        "test_hold",
    ),
    PythonMutant("csrc/bindings/shell.cpp", " && now <= previous;", ";", "a clock that was overtaken", "test_clocks"),
    PythonMutant(
        "csrc/bindings/shell.hpp",
        "    } catch (...) {\n        settle(quota, ended);\n",
        "    } catch (...) {\n",
        "what has ended is settled, whatever comes",
        "test_slices settled",
    ),
    PythonMutant(
        "csrc/bindings/shell.hpp",
        "        if (is_direct()) {  // still",
        "        if (true) {  // still",
        "a policy that comes while a call waits",
        "test_threads quota",
    ),
    # batches
    PythonMutant(
        "csrc/bindings/batch.cpp",
        "    ask_quota(batch);\n    carry_out",
        "    carry_out",
        "the hook is asked about every row",
        "test_batches hook",
    ),
    PythonMutant(
        "csrc/bindings/batch.hpp",
        "        bundle = bundles_.back();\n",
        "",
        "the bundle of a policy that is replaced",
        "test_batch_refusals",
    ),
    PythonMutant(
        "csrc/bindings/batches.cpp", "uids[first + i]); };", "uids[i]); };", "slices of masks", "test_batches"
    ),
    # slices
    PythonMutant(
        "csrc/bindings/time.cpp", "        left -= part;\n", "", "the budget of an advance", "test_clocks budget"
    ),
    PythonMutant(
        "csrc/bindings/listing.cpp",
        "        if (place_ == 0 && end_some(Shell::slice).more) return true;\n",
        "",
        "lists end what is due",
        "test_queries",
    ),
    PythonMutant(
        "csrc/bindings/listing.cpp",
        "std::min(Shell::slice, limit_ - given_);",
        "Shell::slice;",
        "the limit of a list",
        "test_slices lists",
    ),
    PythonMutant(
        "csrc/bindings/listing.cpp",
        "    place_ = scan.next;\n",
        "    place_ = 0;\n",
        "lists of pages",
        "test_slices lists",
    ),
    # what Python hands in
    PythonMutant(
        "csrc/bindings/instances.hpp",
        "    info->operator_new = ",
        "    [[maybe_unused]] const auto unused = ",
        "instances without a value",
        "test_instances",
    ),
    PythonMutant(
        "csrc/bindings/instances.cpp",
        "        if (has_value(init.type, self)) Beginning::refuse(init.type);\n",
        "",
        "a second __init__",
        "test_instances",
    ),
    PythonMutant(
        "csrc/bindings/instances.cpp",
        "        if (std::find(all().begin(), all().end(), place_) != all().end()) refuse(type);\n",
        "",
        "an __init__ within the first",
        "test_instances",
    ),
    PythonMutant(
        "csrc/bindings/arguments.cpp",
        '    if (PyBool_Check(value)) raise_type(name, "an int", value);\n',
        "",
        "a bool is no number",
        "test_typed_calls",
    ),
    PythonMutant(
        "csrc/bindings/arguments.cpp",
        "    if (!error.matches(PyExc_TypeError)) throw error;\n",
        "",
        "an __index__ that fails is the caller's own",
        "test_typed_calls",
    ),
    PythonMutant(
        "csrc/bindings/documented_request.cpp",
        "    if (!error.matches(PyExc_KeyError)) throw error;\n",
        "    throw error;\n",
        "a field that goes while it is read",
        "test_request_forms",
    ),
    # the process
    PythonMutant(
        "csrc/bindings/gil.hpp",
        "    } catch (const abi::__forced_unwind&) {\n        stay_for_ever();\n",
        "    } catch (const abi::__forced_unwind&) {\n        throw;\n",
        "a thread that the end of Python finds in a call",
        "test_exit",
    ),
    PythonMutant(
        "csrc/bindings/clocks.cpp",
        "    if (!alarms_->home.is_here()) {\n",
        "    if (false) {\n",
        "a clock that was made before a fork",
        "test_clocks fork",
    ),
    PythonMutant(
        "python/grantwheel/command/__init__.py",
        "    _fill_standard_descriptors()\n",
        "",
        "standard streams that are closed",
        "test_cli streams",
    ),
)
