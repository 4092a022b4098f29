"""The mistakes that `mutants.py` puts into the journal on SQLite, one at a time: nothing is built for them."""

from typing import Final

from mutant_list_python import PythonMutant

JOURNAL_MUTANTS: Final = (
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "(reading, writing) if self._doubt is None else (writing, reading)",
        "(reading, writing)",
        "a log that a failed sync has taken away is not brought into the file",
        "test_journal_faults failed_flush",
    ),
    PythonMutant(
        "python/grantwheel/journal/_recovery.py",
        "    if after < last:\n",
        "    if False:\n",
        "what can't be read a second time is not left out",
        "test_journal_faults cannot_be_read_again",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            if after != self._last:\n",
        "            if False:\n",
        "a position that is another one",
        "test_journal TestSqliteJournal",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        " or identity(self.path) != self._identity:\n",
        ":\n",
        "a file that was replaced",
        "test_journal_sqlite file_that_was_replaced",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            if found != 1 or",
        "            if",
        "a writer that was replaced",
        "test_journal_sqlite writer_that_was_replaced",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        '                raise NotAppended(f"{self.path}: {error}") from error\n            raise\n',
        "                raise\n            raise\n",
        "what fails before the commit is certainly not in",
        "test_journal_sqlite before_the_commit",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        '        self._doubt = "a commit has failed"\n',
        "",
        "a commit that failed is looked into",
        "test_journal_sqlite commit_that_failed or sync",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "                self._open(rebuild=True)\n",
        "                self._open(rebuild=False)\n",
        "after a failed sync a new file is written",
        "test_journal_sqlite sync or commit_that_failed",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        '        if os.getpid() != self._pid:\n            raise NotAppended("the journal was opened before a fork")\n',
        "",
        "a child of a fork does not append",
        "test_journal_sqlite child",
    ),
    PythonMutant(
        "python/grantwheel/journal/_database.py",
        "    return groups if is_whole else ()\n",
        "    return groups\n",
        "a group that is not what was written",
        "test_journal_damage group_that",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            if wrong is not None:\n",
        "            if False:\n",
        "a group that is missing",
        "test_journal_damage group_that",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            if (wrong is not None or not groups) and after < self._covered:\n",
        "            if False:\n",
        "groups that are in the snapshot only",
        "test_journal_damage alone_has",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "                if not self._covered <= sequence <= self._last:\n",
        "                if False:\n",
        "the position of a snapshot",
        "test_journal TestSqliteJournal",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            with self._writer:\n                self._covered = sequence\n",
        "            pass\n",
        "what a snapshot stands for is dropped",
        "test_journal TestSqliteJournal",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "                cut_log(beside(self.path, WAL))\n            raise NotAppended",
        "                pass\n            raise NotAppended",
        "a failed commit does not look like damage",
        "test_journal_sqlite look_like_damage",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "                self._lock.release()\n\n    def _open",
        "                pass\n\n    def _open",
        "another one may open it after the close",
        "test_journal TestSqliteJournal",
    ),
    PythonMutant(
        "python/grantwheel/journal/sqlite.py",
        "            self._disconnect()\n            self._lock.release()\n            raise",
        "            self._disconnect()\n            raise",
        "a journal that could not be opened leaves no lock",
        "test_journal_damage newer_version",
    ),
)
