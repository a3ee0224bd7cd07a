"""The rule by which a layer is counted."""

from kerakit.cost.kerakit_rules import KERAKIT_RULES
from kerakit.cost.layer_rules import LAYER_RULES


def layer_rules(given=None):
    """Function from a layer to its rule.

    The rule is that of the nearest class of which the layer's is a subclass. Where a subclass
    has a `call` of its own, the rule may miss what that adds: then it comes with a doubt, and
    is the second choice after a trace of the `call`.

    Args:
        given: Dict from classes to rules of the user's, which come first.

    Returns:
        Function from a layer to (rule or None, doubt in words or None).
    """
    table = {**LAYER_RULES, **KERAKIT_RULES, **(given or {})}

    def rule_of(layer):
        kind = type(layer)
        found = next((each for each in kind.__mro__ if each in table), None)
        if found is None:
            return None, None
        doubt = f"what its own `call` adds to {found.__name__}'s"
        return table[found], None if kind.call is found.call else doubt

    return rule_of
