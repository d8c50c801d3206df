"""Save a model and load it again with the installed package; the argument is the checkout that must not be used."""

import importlib.metadata
import sys
from pathlib import Path

import torch

import condswap

checkout = Path(sys.argv[1]).resolve()
imported = Path(condswap.__file__).resolve()
if imported.is_relative_to(checkout):
    sys.exit(f"condswap was imported from the checkout: {imported}; the wheel was not tested")
if importlib.metadata.version("condswap") != condswap.__version__:
    sys.exit(f"the wheel says version {importlib.metadata.version('condswap')}, the package {condswap.__version__}")
if not (imported.parent / "py.typed").is_file():
    sys.exit(f"py.typed is missing beside {imported}; type checkers would ignore the annotations")

torch.manual_seed(0)
model = condswap.CGAN.default(64, classes=["a", "b"]).eval()
image = torch.rand(2, 3, 64, 64)
label = torch.tensor([0, 1])
model.save_pretrained("swapper")
loaded = condswap.CGAN.from_pretrained("swapper").eval()
with torch.no_grad():
    if not torch.equal(model(image, label), loaded(image, label)):
        sys.exit("the loaded model's pictures are not bit for bit those of the saved one")
files = sorted(path.name for path in Path("swapper").iterdir())
sys.stdout.write(f"condswap {condswap.__version__}: {files} saved, loaded, equal\n")
