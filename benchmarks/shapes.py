"""Drawn scenes: objects of any shape, crowding and looks with labels that are known, for the starter to learn from.

Domain randomisation (Tremblay et al. 2018; of label maps SynthSeg, Billot et al. 2023): what objects look like is drawn
so widely that real images are but one more look. Shapes are stars around scattered or packed centres in warped space;
objects differ from the ground in intensity, in their rim, in texture or in how they change towards the middle, and
nothing else is sure. Some are nested (a ring around a core of its own looks).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import instances

DIAMETERS = (8.0, 45.0)  # px
MOST = 220  # objects of a scene
NESTED, PACKED = 0.25, 0.35  # share of the scenes
CUES = 4  # intensity, rim, texture, profile: one of them is strong
OCTAVES = (2, 4, 8, 16, 32, 64, 128)  # cells a side of the noise that everything is textured with


class Scenes:
    """Draws scenes, all of a batch at once.

    Parameters
    ----------
    side : int
        Side in pixels.
    device : torch.device
        Where they are drawn.
    """

    def __init__(self, side: int, device: torch.device) -> None:
        self.side, self.device = side, device
        line = torch.arange(side, device=device, dtype=torch.float32)
        self.places = torch.stack(torch.meshgrid(line, line, indexing="ij"))  # (2, Y, X): y, x
        self.random, self.grain = torch.Generator(), torch.Generator(device)  # numbers that shapes need, and pixels

    def draw(self, count: int, seed: int) -> dict[str, Tensor]:
        """Draw a batch.

        Parameters
        ----------
        count : int
            How many.
        seed : int
            The same seed draws the same scenes, on the same device.

        Returns
        -------
        dict of str to torch.Tensor
            image (B, 3, n, n); target (B, n, n), of objects background, core, contour, of nested ones background,
            ring, core, from 1; objects (B,) bool, whether it is the first.
        """
        self.random.manual_seed(seed)
        self.grain.manual_seed(seed)
        nested, packed = self.uniform(count) < NESTED, self.uniform(count) < PACKED
        diameters = torch.exp(self.uniform(count, *(math.log(d) for d in DIAMETERS)))
        diameters = torch.where(nested, diameters.clamp_min(14), diameters)
        warp = self.noise(count, 2, 3) * self.put(self.uniform(count) ** 2 * 0.4 * diameters, 4)
        looked = zip(warp, diameters.tolist(), packed.tolist(), strict=True)
        near, labels = (torch.stack(t) for t in zip(*(self._shapes(*each) for each in looked), strict=True))
        inner = self._inner(near, labels)
        image = self._paint(near, labels, inner * self.put(nested, 3), diameters)
        target = torch.stack([_classes(v, d) for v, d in zip(labels, diameters.tolist(), strict=True)])
        rings = 1 + (labels > 0).long() + (inner > 0.5).long()
        target = torch.where(self.put(nested, 3), rings, target)
        return {"image": image, "target": target, "objects": self.put(~nested, 1)}

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0, *more: int) -> Tensor:
        """Random numbers, (count, *more), on the CPU."""
        return low + (high - low) * torch.rand(count, *more, generator=self.random)

    def one(self, low: float = 0.0, high: float = 1.0) -> float:
        """One random number."""
        return float(self.uniform(1, low, high))

    def normal(self, *shape: int) -> Tensor:
        """Normally distributed random numbers, on the CPU."""
        return torch.randn(*shape, generator=self.random)

    def put(self, values: Tensor, axes: int) -> Tensor:
        """Bring values of each scene to the device, with as many axes."""
        return values.to(self.device, non_blocking=True).view(-1, *(1,) * (axes - 1))

    def noise(self, count: int, channels: int, octaves: int = len(OCTAVES)) -> Tensor:
        """Noise of random fineness, (B, C, n, n), zero mean and unit variance."""
        weights = self.uniform(count, 0, 1, octaves) ** 4
        total = torch.zeros(count, channels, self.side, self.side, device=self.device)
        for k, cells in enumerate(OCTAVES[:octaves]):
            grid = self.pixels(count, channels, cells + 3, cells + 3)
            part = F.interpolate(grid, scale_factor=self.side / cells, mode="bicubic" if cells < 64 else "bilinear")
            start = int(self.side / cells * self.one())
            part = part[..., start : start + self.side, start : start + self.side]
            total += part * self.put(weights[:, k], 4)
        return _standard(total)

    def pixels(self, *shape: int) -> Tensor:
        """Normally distributed random numbers, on the device."""
        return torch.randn(*shape, generator=self.grain, device=self.device)

    def _shapes(self, warp: Tensor, diameter: float, packed: bool) -> tuple[Tensor, Tensor]:
        """How near to the middle of its object each place is (1 at its border), and which object it is in, from 1."""
        side, limit = self.side, self.one(1.0, 2.0) if packed else 1.0
        centres = self._packed(diameter) if packed else self._scattered(diameter)
        count = len(centres)
        longer = torch.exp(self.normal(count) * 0.15 + self.one() ** 2 * 0.7)
        sizes = 0.5 * diameter * torch.exp(self.normal(count) * self.one(0.03, 0.25))
        angles = self.uniform(count, 0, math.tau)
        if self.one() < 0.4:  # all one way
            angles = angles[:1] + self.normal(count) * 0.3
        turned = torch.stack([angles.cos(), angles.sin()])
        scaled = torch.stack([1 / (sizes * longer.sqrt()), longer.sqrt() / sizes])
        cos, sin, shorter, broader = torch.cat([turned, scaled]).to(self.device, non_blocking=True)[..., None]
        apart = (self.places + warp).flatten(1)[:, None] - centres.T[:, :, None].to(self.device, non_blocking=True)
        along, across = (apart[0] * cos + apart[1] * sin) * shorter, (apart[1] * cos - apart[0] * sin) * broader
        away, around = torch.sqrt(along**2 + across**2), torch.atan2(across, along)
        wobble, bent = self.one() ** 2 * 0.3, torch.ones_like(away)
        for k in (2, 3, 4):
            shift, size = self.put(self.uniform(count, 0, math.tau), 2), self.put(self.normal(count) * wobble / k, 2)
            bent += torch.cos(k * around + shift) * size
        two = (away / bent.clamp(0.5, 1.6)).topk(min(2, count), 0, largest=False)
        near, which = two.values[0], two.indices[0] + 1
        inside, gap = near < limit, self.one(0.02, 0.2) if self.one() < 0.4 else 0.0
        if count > 1 and gap:
            inside &= two.values[1] - near > gap
        return (near / limit).view(side, side), torch.where(inside, which, 0).view(side, side)

    def _packed(self, diameter: float) -> Tensor:
        """Centres that fill space, (N, 2)."""
        step = diameter * self.one(0.85, 1.15)
        line = torch.arange(-diameter, self.side + diameter, step)
        centres = torch.cartesian_prod(line, line)
        return centres + self.normal(*centres.shape) * step * self.one(0.05, 0.35)

    def _scattered(self, diameter: float) -> Tensor:
        """Centres anywhere, few or many, or in heaps, (N, 2)."""
        room = (self.side + 2 * diameter) ** 2 / (math.pi / 4 * diameter**2)
        count = int(min(MOST, max(1, 0.9 * room * self.one() ** 1.5)))
        if self.one() < 0.3:
            heaps = self.uniform(4, 0, self.side, 2)[torch.randint(4, (count,), generator=self.random)]
            return heaps + self.normal(count, 2) * diameter * 1.5
        return self.uniform(count, -diameter, self.side + diameter, 2)

    def _inner(self, near: Tensor, labels: Tensor) -> Tensor:
        """A core inside each object, (B, n, n), 0 to 1."""
        bound = self.put(self.uniform(len(near), 0.35, 0.85), 3) + 0.1 * self.noise(len(near), 1)[:, 0]
        return ((near < bound) & (labels > 0)).float()

    def _paint(self, near: Tensor, labels: Tensor, inner: Tensor, diameters: Tensor) -> Tensor:
        """Give a scene its looks, (B, 3, n, n)."""
        count, near = len(near), near[:, None]
        within, core = _soft((labels > 0).float()[:, None]), _soft(inner[:, None])
        rim, profile = self._rim(labels, diameters), 1 - near.clamp(0, 1) ** 2
        level, edge, texture, middle = self._cues(count)
        grey = self.put(self.uniform(count) < 0.6, 4)

        def coloured(part: Tensor) -> Tensor:
            return part * torch.where(grey, 1.0, 1 + 0.7 * self.put(self.normal(count * 3), 1).view(count, 3, 1, 1))

        def amount(power: int, most: float = 1.0) -> Tensor:
            return self.put(self.uniform(count) ** power * most, 4)

        def any_sign() -> Tensor:
            return self.put(self.normal(count), 4)

        own = self.pixels(count, 4 * MOST + 1) * amount(2, 0.5).view(count, 1)
        own = torch.gather(own, 1, labels.flatten(1)).view_as(within)
        spots = (self.noise(count, 1) > 1.6) * any_sign() * amount(2)
        objects = level + own + texture * self.noise(count, 1) + middle * profile + spots
        debris = (self.noise(count, 1) > self.put(self.uniform(count, 1.2, 3), 4)) * any_sign() * amount(2)
        halo = torch.exp(-(near - 1).clamp_min(0) * self.put(self.uniform(count, 3, 12), 4)) * any_sign() * amount(3)
        ground = coloured(self.noise(count, 1) * amount(2, 0.6)) + coloured(debris) + coloured(halo)
        image = coloured(within * objects) + coloured(core * 1.5 * (any_sign() + 0.4 * self.noise(count, 1)))
        image = image + (1 - within) * ground + coloured(rim * edge) + self._light(count)
        rough, grain = self.noise(count, 3), self.pixels(count, 3, self.side, self.side)
        rough, grain = (torch.where(grey, v[:, :1], v) for v in (rough, grain))
        return _standard(self._blurred(image) + rough * amount(3, 0.3) + grain * amount(3, 0.8))

    def _cues(self, count: int) -> Tensor:
        """How much objects differ in each way, (CUES, B, 1, 1, 1)."""
        strong = F.one_hot((self.uniform(count) * CUES).long(), CUES).bool()
        force = torch.where(strong, self.uniform(count, 1.2, 3, CUES), self.uniform(count, 0, 1, CUES) ** 3)
        force = force * torch.sign(self.normal(count, CUES))
        return force.T.to(self.device, non_blocking=True).view(CUES, count, 1, 1, 1)

    def _rim(self, labels: Tensor, diameters: Tensor) -> Tensor:
        """Borders of objects, wider in large ones, (B, 1, n, n)."""
        edge = _edge(labels)
        for widen in (3.0, 12.0, 24.0):
            wider = self.put(diameters > widen * (1 + self.uniform(len(labels))), 4)
            edge = torch.where(wider, F.max_pool2d(edge, 3, 1, 1), edge)
        return _soft(edge)

    def _light(self, count: int) -> Tensor:
        """Uneven light, (B, 1, n, n)."""
        grid = self.put(self.normal(count * 16), 1).view(count, 1, 4, 4) * self.put(self.uniform(count) ** 3 * 0.5, 4)
        return F.interpolate(grid, (self.side, self.side), mode="bicubic")

    def _blurred(self, image: Tensor) -> Tensor:
        """Out of focus by a random amount."""
        times = self.put((self.uniform(len(image)) ** 2 * 5).long(), 4)
        for k in range(5):
            image = torch.where(times > k, _soft(image), image)
        return image


def _soft(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


def _standard(image: Tensor) -> Tensor:
    """Zero mean and unit variance in each channel."""
    return (image - image.mean((2, 3), keepdim=True)) / (image.std((2, 3), keepdim=True) + 1e-3)


def _edge(labels: Tensor) -> Tensor:
    """Where a neighbour is another object, or none, (B, 1, n, n)."""
    found = F.pad(labels[:, None].float(), (1, 1, 1, 1), mode="replicate")
    return (F.max_pool2d(found, 3, 1) != -F.max_pool2d(-found, 3, 1)).float()


def _classes(labels: Tensor, diameter: float) -> Tensor:
    """Background, core and contour, from 1, as `instances.to_targets` has them."""
    width = instances.contour_width(instances.ObjectSize(1.0, math.pi / 4 * diameter**2))
    whole = labels[None, None].float()
    core = whole > 0
    for reach in range(1, width + 1):
        padded = F.pad(whole, (reach, reach, reach, reach), mode="replicate")[0, 0]
        for k in range(-reach, reach + 1):  # a diamond, by its border
            for j in {reach - abs(k), abs(k) - reach}:
                moved = padded[reach + k : reach + k + labels.shape[0], reach + j : reach + j + labels.shape[1]]
                core &= moved == labels
    target = torch.where(core[0, 0], instances.CORE, instances.CONTOUR)
    return torch.where(labels > 0, target, instances.BACKGROUND)
