"""The floor: the two steps that no evaluation can leave out, in the cache and with nothing else.

One tile of frames, as many as a clip has, is transformed as often as there are clips; and one tile
of power is multiplied with the mel bank as often. Nothing is framed, windowed, squared or written
to memory. Each turn of the loop depends on the one before, through one value, and the output of
each turn is a value of the loop, so that no turn can be hoisted, merged or left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jobs import JaxJob, Job
from sizes import Size, clips, mel_bank


def jobs(size: Size) -> dict[str, Job]:
    """``rfft`` and ``mel``; the floor is their sum. Only for sizes of many short clips."""
    import jax
    import jax.numpy as jnp

    def tile() -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(
            np.pad(clips(size)[0], size.n_fft // 2, mode="reflect"), size.n_fft
        )
        return np.ascontiguousarray(frames[:: size.hop_length])

    def power() -> np.ndarray:
        return np.abs(np.fft.rfft(tile())).astype(np.float32) ** 2

    def repeated(step: Callable[[jax.Array], jax.Array], tile: jax.Array) -> jax.Array:
        def turn(_: Any, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            tile, out = carry
            tile = tile.at[0, 0].set(out[0, 0].real)
            return tile, step(tile)

        out = jax.eval_shape(step, tile)
        return jax.lax.fori_loop(0, size.clips, turn, (tile, jnp.zeros(out.shape, out.dtype)))[1]

    bank = mel_bank(size).T
    return {
        "rfft": JaxJob(lambda tile, x: repeated(jnp.fft.rfft, tile), lambda: (tile(),)),
        "mel": JaxJob(lambda tile, x: repeated(lambda p: p @ bank, tile), lambda: (power(),)),
    }
