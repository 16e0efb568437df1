from django.http import JsonResponse
from rest_framework.permissions import IsAdminUser
from rest_framework.response import Response
from rest_framework.views import APIView


def described(user):
    if not user.is_authenticated:
        return {"user": None}
    groups = sorted(user.groups.values_list("name", flat=True))
    names = {"user": user.pk, "username": user.get_username(), "first_name": user.first_name, "email": user.email}
    return names | {"is_staff": user.is_staff, "groups": groups}


def me(request):
    """An ordinary view."""
    return JsonResponse(described(request.user))


class Me(APIView):
    """A view of Django REST framework."""

    def get(self, request):
        return Response(described(request.user))

    post = get


class Reports(APIView):
    """For staff."""

    permission_classes = [IsAdminUser]

    def get(self, request):
        return Response({"reports": []})
