import os

from django.core.exceptions import ImproperlyConfigured

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for-trying-out-only")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "demo.urls"
USE_TZ = True
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DEMO_DATABASE", "demo.sqlite3")}
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # After Django's own, whose word it replaces.
    "demo.passgate.PassgateMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "demo.passgate.PassgateBackend",
    # Has the permissions, and the passwords of those who sign in at the admin.
    "django.contrib.auth.backends.ModelBackend",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["demo.passgate_rest.PassgateAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}

# What Passgate sends as X-Passgate-Key.
PASSGATE_KEY = os.environ.get("PASSGATE_KEY", "")
if len(PASSGATE_KEY) < 32:
    raise ImproperlyConfigured("PASSGATE_KEY wants 32 characters or more: `openssl rand -hex 32`")
# Groups of Django's whose members are those of the groups of the same names at Passgate. All others are Django's own.
PASSGATE_GROUPS = {"editors"}
