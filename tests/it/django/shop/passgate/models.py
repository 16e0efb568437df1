from django.conf import settings
from django.db import models


class PassgateAccount(models.Model):
    """Somebody who signed up at Passgate, and so has no key of ours over there."""

    account_id = models.UUIDField(primary_key=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
