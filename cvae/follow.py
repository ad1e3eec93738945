"""A figure to be followed while the music plays: a line moves over it, with no kernel needed."""

import base64
import html
import io
from dataclasses import dataclass, field

from cvae.music.audio import Player

__all__ = ["Followed", "followed"]

# What a page does by itself, several times a second, while the sound plays.
_MOVE = (
    "const line = this.closest('.followed').querySelector('.now'), "
    "share = Math.min(1, this.currentTime / {seconds}); "
    "line.style.left = {left} + share * {width} + '%'"
)


@dataclass(frozen=True)
class Followed:
    """A picture whose horizontal axis is time, and its sound.

    Attributes
    ----------
    player : Player
    png : bytes
    alt : str
        What one sees.
    left, right : float
        Where the axis of time begins and ends, in per cent of the picture's width.
    seconds : float
        What the axis takes.
    """

    player: Player
    png: bytes = field(repr=False)
    alt: str
    left: float
    right: float
    seconds: float

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.png).decode("ascii")
        width = round(self.right - self.left, 2)
        move = _MOVE.format(seconds=self.seconds, left=self.left, width=width)
        sound = self.player._repr_html_().replace("<audio ", f'<audio ontimeupdate="{move}" ', 1)
        return (
            '<div class="followed"><div style="position: relative">'
            f'<img alt="{html.escape(self.alt)}" style="width: 100%" '
            f'src="data:image/png;base64,{picture}">'
            '<div class="now" style="position: absolute; top: 0; bottom: 0; width: 2px; '
            f'background: #D55E00; left: {self.left}%"></div></div>{sound}</div>'
        )


def followed(ax, player: Player, seconds: float, alt: str) -> Followed:
    """Let a line move over a figure while a player plays.

    Parameters
    ----------
    ax : Axes
        Whose horizontal axis is the time of the music. Its figure is closed, else a notebook would
        show it again.
    player : Player
    seconds : float
        From the one end of the axis to the other, above 0: the echo of the last note not counted.
    alt : str
        What one sees, for those who do not.

    Returns
    -------
    Followed

    Raises
    ------
    ValueError
        For no `alt`, or `seconds` of 0 or less.
    """
    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError("alt: got an empty text, must say what one sees")
    if not seconds > 0:
        raise ValueError(f"seconds: got {seconds!r}, must be above 0")
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=100)
    # After drawing, when the layout is settled.
    left, right = (round(100 * end, 2) for end in (ax.get_position().x0, ax.get_position().x1))
    plt.close(ax.figure)
    return Followed(player, file.getvalue(), alt, left, right, round(seconds, 2))
