"""The mistakes that `mutants.py` puts into the service, one at a time: whom it believes, watches and lets go."""

from typing import Final

from mutant_list_python import PythonMutant

SERVICE_MUTANTS: Final = (
    PythonMutant(
        "python/grantwheel/service/peers.py",
        "        if error.errno != errno.ENOPROTOOPT:",
        "        if False:",
        "a peer is looked up by its pid only where the kernel cannot give it",
        "test_service_peers looked_up",
    ),
    PythonMutant(
        "python/grantwheel/service/policy_file.py",
        "    if not value:\n        raise",
        "    if False:\n        raise",
        "a bundle without a name would have everything",
        "test_policy_file refused_with",
    ),
    PythonMutant(
        "python/grantwheel/service/places.py",
        "        yield at, at.lstat()\n        parts.extendleft",
        "        parts.extendleft",
        "a link to its own folder is that folder",
        "test_service_places own_folder",
    ),
    PythonMutant(
        "python/grantwheel/service/places.py",
        "    for at, found in above:\n",
        "    for at, found in above[-1:]:\n",
        "all folders above count",
        "test_service_places",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        "            self._tell_of(pid)\n            if self._has_no_room",
        "            if self._has_no_room",
        "whoever gets a pid gets nothing of the one who had it",
        "test_service_deaths gets_a_pid",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        " or name in self._new:",
        ":",
        "what a turn is about to do counts",
        "test_service_deaths after_the_turn",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        "if self._holds(uid, pid) or (",
        "if (",
        "a holder is watched without a connection",
        "test_service_deaths without_a_connection",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        " or (len(of_uid) == 1 and self._manager.app_mask(uid))",
        "",
        "one of an app that holds something is watched",
        "test_service_deaths without_a_connection",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        "            self.forgotten += 1\n",
        "            pass\n",
        "connections hear that somebody is watched no more",
        "test_service_deaths after_the_turn",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        "        for uid in crowded:\n            self._make_room(uid)\n",
        "",
        "after a turn there is room again",
        "test_service_deaths limited",
    ),
    PythonMutant(
        "python/grantwheel/service/deaths.py",
        "        self._look_at = looked",
        "        self._look_at = 0 * looked",
        "looks that take long are rare",
        "test_service_deaths rare",
    ),
    PythonMutant(
        "python/grantwheel/service/server.py",
        "            self.forget(connection)\n            connection.abort()\n",
        "            connection.abort()\n",
        "what a process has sent is not carried out after its end",
        "test_service_turns after_its_end",
    ),
)
