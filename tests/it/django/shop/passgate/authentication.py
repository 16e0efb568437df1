from urllib.parse import unquote

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, transaction
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from .models import PassgateAccount

User = get_user_model()


class PassgateAuthentication(BaseAuthentication):
    """Takes Passgate's word for who is calling."""

    def authenticate(self, request):
        account_id = request.headers.get("X-Account-Id")
        if account_id is None:
            return None
        if not constant_time_compare(request.headers.get("X-Passgate-Key", ""), settings.PASSGATE_KEY):
            raise AuthenticationFailed("This did not come through Passgate.")
        try:
            user = user_of(account_id, request.headers)
        except (ObjectDoesNotExist, ValidationError, ValueError):
            raise AuthenticationFailed("User inactive or deleted.") from None
        if not user.is_active:
            raise AuthenticationFailed("User inactive or deleted.")
        return user, None

    def authenticate_header(self, request):
        return 'Bearer realm="api"'


def user_of(account_id, headers):
    # Whoever was imported is known by the primary key they have here.
    if "X-User-Id" in headers:
        return User.objects.get(pk=headers["X-User-Id"])
    known = PassgateAccount.objects.select_related("user").filter(pk=account_id).first()
    return known.user if known else newcomer(account_id, headers)


def newcomer(account_id, headers):
    # Never by the address: who has it over there need not be who had it here.
    email = unquote(headers.get("X-User-Email", ""))
    if not email or User.objects.filter(email__iexact=email).exists():
        email = f"{account_id}@passgate.invalid"
    user = User(email=email, username=unquote(headers.get("X-User-Name", account_id)))
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            PassgateAccount.objects.create(account_id=account_id, user=user)
    except IntegrityError:  # another of their first requests was faster
        return PassgateAccount.objects.select_related("user").get(pk=account_id).user
    return user
