"""Calls of compiled functions through their addresses.

Numba copies what a function calls into its machine code and optimises all of it together, again for
each caller: seconds, where that is large. What is called through its address is compiled once.

    address = code_address(function, *arguments)            # Python
    result = call_at(function, address, (*arguments,))      # compiled code
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending

# Numba's annotations cover a part of it, another part in each version.
_numba: Any = numba


def code_address(function: Any, *arguments: object) -> int:
    """Return where the machine code of a compiled function for such arguments begins.

    It is compiled now where it is not yet, and stays there as long as the function lives.
    """
    types = tuple(map(_numba.typeof, arguments))
    function.compile(types)
    made = function.overloads[types]
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


def _call_at(typing: Any, function: Any, _address: Any, arguments: Any) -> Any:
    called = function.get_call_type(typing, tuple(arguments), {})

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        shape = context.call_conv.get_function_type(called.return_type, called.args)
        code = builder.inttoptr(values[1], shape.as_pointer())
        given = [builder.extract_value(values[2], at) for at in range(len(called.args))]
        status, result = context.call_conv.call_function(
            builder, code, called.return_type, called.args, given
        )
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
        return result

    return called.return_type(function, _address, arguments), generate


# The arguments must be of the very types that `code_address` was given.
call_at: Callable[[Any, int, Any], Any] = _numba.extending.intrinsic(_call_at)
