import numpy as np
import pytest

import ganlet
