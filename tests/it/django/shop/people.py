"""Fills the shop: a user per kind of password, social links, OAuth applications, orders.

Every password is `horse-` and the name, which is what stands before the @.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402
from social_django.models import UserSocialAuth  # noqa: E402

from accounts.models import Account  # noqa: E402
from orders.models import Order  # noqa: E402

HASHERS = ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"]


def person(name, password, **fields):
    account = Account.objects.create(
        email=f"{name}@example.com", username=name, first_name=name.title(), password=password, **fields
    )
    Order.objects.create(owner=account, item=f"tea of {name}")
    return account


# The first keys belong to nobody any more: keys are not the order of arrival.
for n in range(3):
    person(f"gone{n}", "!").delete()
for hasher in HASHERS:
    person(hasher, make_password(f"horse-{hasher}", hasher=hasher))
person("staff", make_password("horse-staff"), is_staff=True)
person("inactive", make_password("horse-inactive"), is_active=False)
for name, provider, uid in [
    ("gina", "google-oauth2", "gina@example.com"),
    ("fay", "facebook", "10158000000000001"),
]:
    UserSocialAuth.objects.create(user=person(name, make_password(None)), provider=provider, uid=uid)

for name, kind in [("web", "confidential"), ("partner", "confidential"), ("phone", "public")]:
    Application.objects.create(
        name=name,
        client_id=name,
        client_secret=f"{name}-secret",
        client_type=kind,
        authorization_grant_type=Application.GRANT_PASSWORD,
        user=None,
    )
