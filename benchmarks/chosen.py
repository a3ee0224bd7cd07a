"""Which of several a command is to run."""


def add_chosen(parser, name, choices):
    """Adds an argument of names, all of them if none is given.

    Args:
        parser: `argparse.ArgumentParser`.
        name: Name of the argument, the plural of what is chosen.
        choices: Iterable of the names.
    """
    parser.add_argument(
        name,
        nargs="*",
        choices=(*choices, []),  # argparse looks up the empty list, too
        metavar=name.removesuffix("s").upper(),
        help=f"of {', '.join(choices)}; all of them if none is named",
    )
