"""The settings as the move changes them."""

import os

from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS, REST_FRAMEWORK

INSTALLED_APPS += ["passgate"]
PASSGATE_KEY = os.environ["PASSGATE_KEY"]
REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].insert(0, "passgate.authentication.PassgateAuthentication")
