"""Templates that escape every text and name what they lack."""

import jinja2


def template(name: str) -> jinja2.Template:
    """Returns a template of `report/templates`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vlmcog.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
