"""Drum patterns: what each voice of a drum kit plays in a bar, and how hard.

A character is a step: ``X`` is an accent, ``x`` a stroke, ``o`` a soft one, ``.`` none. A bar has
as many steps as its pattern has characters: 16 of straight music, 12 where a beat is in three.
"""

from __future__ import annotations

from dataclasses import dataclass

VELOCITIES = {"X": 0.95, "x": 0.72, "o": 0.33}


@dataclass(frozen=True)
class Groove:
    """A way to play: tempo in beats a minute, most swing (a share of a step), and the patterns.

    ``machine`` says that drum machines play it: in time, with electronic sounds.
    """

    tempo: tuple[float, float]
    swing: float
    voices: dict[str, tuple[str, ...]]
    machine: bool = False


GROOVES = {
    "rock": Groove(
        (85, 165),
        0.1,
        {
            "kick": (
                "X.......X.......",
                "X.....x.X.......",
                "X..x....X.x.....",
                "X.x.....x.X..x..",
            ),
            "snare": (
                "....X.......X...",
                "....X.......X..o",
                "....X..o....X...",
                "....X.......X.x.",
            ),
            "hat": ("X.x.X.x.X.x.X.x.", "x.x.x.x.x.x.x.x.", "X...X...X...X..."),
        },
    ),
    "ballad": Groove(
        (58, 92),
        0.15,
        {
            "kick": ("X.......x.......", "X.........x.....", "X......xX......."),
            "snare": ("....X.......X...",),
            "rim": ("................", "....x.......x..."),
            "hat": ("x.o.x.o.x.o.x.o.", "xoxoxoxoxoxoxoxo", "x...x...x...x..."),
        },
    ),
    "funk": Groove(
        (88, 122),
        0.3,
        {
            "kick": (
                "X..x..X...x..X..",
                "X.x....x..X.....",
                "X..x.....xX..x..",
                "X.....xX.x..x...",
            ),
            "snare": ("....X..o.o..X..o", "..o.X..o.oo.X...", "o..oX.oo.o.oX.o."),
            "hat": ("XoxoXoxoXoxoXoxo", "XoxxXoxxXoxxXoxx", "X.xoX.xoX.xoX.xo"),
            "open": ("................", "..............x.", "......x........."),
        },
    ),
    "house": Groove(
        (116, 132),
        0.15,
        {
            "kick": ("X...X...X...X...", "X...X...X...X..x"),
            "clap": ("....X.......X...", "................"),
            "snare": ("................", "....x.......x...", "..............xo"),
            "hat": ("oxoxoxoxoxoxoxox", "x.x.x.x.x.x.x.x.", "................"),
            "open": ("..X...X...X...X.", "..x...x...x...x."),
            "shaker": ("................", "xoxoxoxoxoxoxoxo"),
        },
        machine=True,
    ),
    "break": Groove(
        (120, 176),
        0.2,
        {
            "kick": ("X.X.......XX....", "X.........X.....", "X.x..x....X..x.."),
            "snare": ("....X..o.o..X..o", "....X..x.x....X.", "....X.......X.x."),
            "hat": ("x.x.x.x.x.x.x.x.", "X.x.X.x.X.x.X.xx"),
        },
    ),
    "half": Groove(
        (66, 90),
        0.2,
        {
            "kick": ("X.........x.....", "X..x..x.........", "X.....x...xx...."),
            "snare": ("........X.......", "........X.....o."),
            "hat": ("x.x.x.x.x.x.x.x.", "xxx.xxx.xx.xxxxx", "x.xxx.x.x.x.xxxx"),
        },
        machine=True,
    ),
    "hiphop": Groove(
        (78, 104),
        0.45,
        {
            "kick": ("X......x..X.....", "X.x.......X..x..", "X..X..X.....x..."),
            "snare": ("....X.......X...", "....X.......X..o"),
            "clap": ("................", "....x.......x..."),
            "hat": ("x.x.x.x.x.x.x.x.", "X.xoX.x.X.xoX.xx", "xx.xxx.xxx.xxx.x"),
        },
        machine=True,
    ),
    "shuffle": Groove(
        (80, 150),
        0.0,
        {
            "kick": ("X.....X.....", "X....xX.....", "X..x..X..x.."),
            "snare": ("...X.....X..", "..oX.o..oX.o"),
            "hat": ("X.xX.xX.xX.x", "X..X..X..X.."),
        },
    ),
    "slow three": Groove(
        (50, 76),
        0.0,
        {
            "kick": ("X.....x.....", "X....xx....."),
            "snare": ("...X.....X..", "......X....."),
            "hat": ("XxxXxxXxxXxx", "XooXooXooXoo"),
        },
    ),
    "latin": Groove(
        (88, 128),
        0.1,
        {
            "kick": ("X..xX..xX..xX..x", "X.....x.X.....x.", "X...X...X...X..."),
            "rim": ("X..X..X...X.X...", "..X.X...X..X..X.", "................"),
            "snare": ("................", "...x..x....x..x."),
            "hat": ("xoxoxoxoxoxoxoxo", "X.x.X.x.X.x.X.x."),
            "cowbell": ("X.x.X.xxX.x.X.xx", "................", "X...X...X...X..."),
            "high": ("..x...xx..x...xx", ".oxo.oxx.oxo.oxx", "................"),
            "low": ("o.......oo......", "....o......o..x.", "................"),
            "shaker": ("xoxoxoxoxoxoxoxo", "................"),
        },
    ),
    "disco": Groove(
        (106, 126),
        0.05,
        {
            "kick": ("X...X...X...X...",),
            "snare": ("....X.......X...", "....X.......X.o."),
            "hat": ("x.o.x.o.x.o.x.o.", "xoo.xoo.xoo.xoo."),
            "open": ("..X...X...X...X.",),
            "tambourine": ("................", "....x.......x...", "x.x.x.x.x.x.x.x."),
        },
    ),
    "reggae": Groove(
        (66, 90),
        0.35,
        {
            "kick": ("........X.......", "X...X...X...X...", "X.......X......."),
            "rim": ("........X.......", "....x..x....x..."),
            "hat": ("x.xox.xox.xox.xo", "x...x...x...x..."),
            "open": ("................", "......x........."),
        },
    ),
    "punk": Groove(
        (160, 210),
        0.0,
        {
            "kick": ("X..xX..xX..xX..x", "X.x...x.X.x...x.", "X...x...X...x..."),
            "snare": ("..X...X...X...X.", "....X.......X..."),
            "hat": ("X.X.X.X.X.X.X.X.", "X...X...X...X..."),
        },
    ),
    "metal": Groove(
        (96, 190),
        0.0,
        {
            "kick": (
                "XxXxXxXxXxXxXxXx",
                "X.xxX.xxX.xxX.xx",
                "Xxx.Xxx.Xxx.Xxx.",
                "X..X..X..X..X.X.",
            ),
            "snare": ("....X.......X...", "........X......."),
            "hat": ("X...X...X...X...", "X.X.X.X.X.X.X.X."),
        },
    ),
    "electro": Groove(
        (108, 140),
        0.1,
        {
            "kick": ("X.....x...X..x..", "X..x..x.X.....x.", "X...X...X...X..."),
            "snare": ("....X.......X...",),
            "clap": ("....x.......x...", "................", "....x.......x.xx"),
            "hat": ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx"),
            "open": ("..........x.....", "................"),
            "cowbell": ("................", "X..X..X.....x..."),
        },
        machine=True,
    ),
    "hands": Groove(
        (80, 130),
        0.25,
        {
            "low": ("X.......x.......", "X..x....X..x....", "X.....xx..x....."),
            "high": ("..x.X.xx..x.X.xx", "oxxoXoxxoxxoXoxx", "....X..x....X.xx"),
            "shaker": ("xoxoxoxoxoxoxoxo", "................"),
            "tambourine": ("................", "....X.......X..."),
            "clap": ("................", "....X.......X..."),
        },
    ),
}

FILLS = {
    16: (
        "X.x.X.x.X.x.X.x.",
        "....X.xxX.xxXxxx",
        "........XxxxXxxx",
        "........X..X..X.",
        "............XxXx",
    ),
    12: ("X.xX.xX.xX.x", "......XxxXxx", ".........Xxx"),
}
"""What the snare and the toms play in a fill; the kit plays on until it begins."""
