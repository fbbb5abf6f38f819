"""The runtime checker of jaxtyping's shapes and dtypes, for tests only; a whole number may stand for a real one."""

import beartype

check = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
